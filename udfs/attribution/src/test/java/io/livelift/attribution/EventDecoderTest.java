package io.livelift.attribution;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.SchemaBuilder;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.junit.jupiter.api.Test;

class EventDecoderTest {
    private static final long NOON = 1_760_000_000_000L;

    private final Map<Integer, String> registry = new HashMap<>(Map.of(1, Events.schema(1), 2, Events.schema(2)));
    private final EventDecoder decoder = new EventDecoder(registry::get);
    private final Event event = new Event();

    private static GenericData.Record assignment() {
        GenericData.Record assignment = Events.assignment("user-1", "a-1", "button", 3, "ж", NOON);
        assignment.put("attributes", Map.of("country", "DE"));
        assignment.put("is_bot", true);
        return assignment;
    }

    @Test
    void every_field_of_an_event_is_read() throws Unreadable {
        decoder.decode(EventKind.ASSIGNMENT, Events.encode(1, assignment()), event);
        assertEquals(
                "acme user-1 a-1 button ж",
                strings(event.tenantId, event.unitId, event.eventId, event.experimentId, event.variantId));
        assertEquals(3, event.configVersion);
        assertEquals(NOON, event.timeMs);
        assertTrue(event.isBot);
        assertEquals(1, event.attributeCount);
        assertEquals("country", event.attributeName(0).toString());
        assertEquals("DE", event.attributeValue(0).toString());

        decoder.decode(
                EventKind.OUTCOME, Events.encode(2, Events.outcome("user-1", "o-1", "sale", -2.5, NOON + 1)), event);
        assertEquals("o-1 sale", strings(event.eventId, event.metricId));
        assertEquals(-2.5, event.value);
        assertEquals(1.0, event.weight);
        assertEquals(NOON + 1, event.timeMs);
    }

    private static String strings(Slice... slices) {
        return String.join(" ", Arrays.stream(slices).map(Slice::toString).toList());
    }

    @Test
    void a_writer_may_have_other_fields_in_another_order_and_lack_those_with_a_default() throws Unreadable {
        Schema nested = SchemaBuilder.record("Nested")
                .fields()
                .name("list")
                .type()
                .array()
                .items()
                .longType()
                .noDefault()
                .name("map")
                .type()
                .map()
                .values()
                .nullable()
                .floatType()
                .noDefault()
                .endRecord();
        Schema writer = SchemaBuilder.record("Outcome")
                .namespace("io.livelift")
                .fields()
                .name("extra")
                .type(nested)
                .noDefault()
                .name("occurred_at")
                .type()
                .longType()
                .noDefault()
                .name("kind")
                .type()
                .enumeration("Kind")
                .symbols("X", "Y")
                .noDefault()
                .name("value")
                .type()
                .floatType()
                .noDefault()
                .name("metric_id")
                .type()
                .stringType()
                .noDefault()
                .name("hash")
                .type()
                .fixed("Hash")
                .size(3)
                .noDefault()
                .name("event_id")
                .type()
                .stringType()
                .noDefault()
                .name("note")
                .type()
                .nullable()
                .stringType()
                .noDefault()
                .name("unit_id")
                .type()
                .stringType()
                .noDefault()
                .name("tenant_id")
                .type()
                .stringType()
                .noDefault()
                .endRecord();
        registry.put(7, writer.toString());
        GenericData.Record extra = new GenericData.Record(nested);
        extra.put("list", List.of(1L, 2L));
        Map<String, Float> map = new HashMap<>();
        map.put("a", null);
        map.put("b", 1f);
        extra.put("map", map);
        GenericData.Record outcome = new GenericData.Record(writer);
        outcome.put("extra", extra);
        outcome.put("occurred_at", NOON);
        outcome.put("kind", new GenericData.EnumSymbol(writer.getField("kind").schema(), "Y"));
        outcome.put("value", 0.5f);
        outcome.put("metric_id", "sale");
        outcome.put("hash", new GenericData.Fixed(writer.getField("hash").schema(), new byte[] {1, 2, 3}));
        outcome.put("event_id", "o-1");
        outcome.put("note", "skipped");
        outcome.put("unit_id", "user-1");
        outcome.put("tenant_id", "acme");
        event.weight = 99;
        decoder.decode(EventKind.OUTCOME, Events.encode(7, outcome), event);
        assertEquals("acme user-1 o-1 sale", strings(event.tenantId, event.unitId, event.eventId, event.metricId));
        assertEquals(0.5, event.value);
        assertEquals(1.0, event.weight);
        assertEquals(NOON, event.timeMs);
    }

    @Test
    void what_is_not_such_an_event_is_unreadable_and_says_why() {
        byte[] good = Events.encode(1, assignment());
        byte[] badMagic = good.clone();
        badMagic[0] = 1;
        registry.put(8, "{\"type\": \"nonsense\"}");
        assertUnreadable("the record has no value", EventKind.ASSIGNMENT, null);
        assertUnreadable("zero byte", EventKind.ASSIGNMENT, badMagic);
        assertUnreadable("knows no schema 9", EventKind.ASSIGNMENT, Events.encode(9, assignment()));
        assertUnreadable("not Avro", EventKind.ASSIGNMENT, Events.encode(8, assignment()));
        assertUnreadable("is not that of an Outcome", EventKind.OUTCOME, good);
        byte[] notUtf8 = Events.encode(1, Events.assignment("user-1", "\u0001\u0001", "button", 1, "A", NOON));
        for (int i = 5; i < notUtf8.length - 1; i++) {
            if (notUtf8[i] == 1 && notUtf8[i + 1] == 1) {
                notUtf8[i] = (byte) 0xc3;
            }
        }
        assertUnreadable("not UTF-8", EventKind.ASSIGNMENT, notUtf8);
    }

    @Test
    void an_event_cut_off_anywhere_is_unreadable() {
        byte[] good = Events.encode(1, assignment());
        for (int length = 0; length < good.length; length++) {
            assertUnreadable("", EventKind.ASSIGNMENT, Arrays.copyOf(good, length));
        }
    }

    @Test
    void a_registry_that_cannot_be_reached_is_no_reason_to_refuse_a_record() {
        EventDecoder cut = new EventDecoder(id -> {
            throw new IllegalStateException("the registry does not answer");
        });
        assertThrows(
                IllegalStateException.class,
                () -> cut.decode(EventKind.ASSIGNMENT, Events.encode(1, assignment()), event));
    }

    private void assertUnreadable(String why, EventKind kind, byte[] value) {
        Unreadable refusal = assertThrows(Unreadable.class, () -> decoder.decode(kind, value, event));
        assertTrue(refusal.getMessage().contains(why), refusal::getMessage);
    }
}

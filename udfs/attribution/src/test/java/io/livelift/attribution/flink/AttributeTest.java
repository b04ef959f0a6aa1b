package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.livelift.attribution.DefinitionCatalog;
import io.livelift.attribution.DefinitionReader;
import io.livelift.attribution.EventDecoder;
import io.livelift.attribution.Rules;
import io.livelift.attribution.UnitEngine;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.avro.shaded.org.apache.avro.io.BinaryEncoder;
import org.apache.flink.avro.shaded.org.apache.avro.io.EncoderFactory;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.junit.jupiter.api.Test;

class AttributeTest {
    private static final long SECOND = 1_000;
    private static final long BEGINNING = 1_767_225_600_000L;
    private static final long LONG_AFTERWARDS = BEGINNING + 600 * SECOND;
    private static final Rules RULES = new Rules(10 * SECOND, SECOND, 20 * SECOND, 5 * SECOND, "local");
    private static final String ENDED = "\"ended_at\": " + (BEGINNING + 30 * SECOND) + ", ";

    private final DefinitionCatalog definitions = new DefinitionCatalog();
    private final List<RowData> rows = new ArrayList<>();
    private final Attribute function = new Attribute();
    private final UnitInFlink unit = new UnitInFlink(function);
    private final UnitEngine engine;
    private int events;
    private long seenUpTo;

    AttributeTest() {
        DeltaRows deltas = new DeltaRows("local", 0, "", rows::add);
        RejectedShares shares = new RejectedShares(new UnregisteredMetricsGroup(), 5, deltas, System::nanoTime);
        engine = new UnitEngine(RULES, definitions, new EventDecoder(AttributeTest::schema), shares);
        function.start(engine, shares, appendTimeMs -> seenUpTo = Math.max(seenUpTo, appendTimeMs));
    }

    @Test
    void aUnitHasOneTimerASecondAfterTheMomentItMustBeWokenAt() {
        define("");
        assign(BEGINNING);
        assertEquals(List.of(engine.wakeAtMs() + SECOND), List.copyOf(unit.timers));
        for (int i = 1; i < 100; i++) {
            outcome(BEGINNING + i * SECOND / 10);
            assertEquals(1, unit.timers.size());
        }
    }

    @Test
    void anAssignmentThatWaitsIsCountedWhenATimerFindsItsDefinition() {
        assign(BEGINNING);
        define("");
        assertEquals(List.of(), exposures());
        unit.advanceTo(BEGINNING + 10 * SECOND);
        assertEquals(List.of(1L), exposures());
    }

    @Test
    void aUnitsClockIsASecondBehindTheWatermarkSoThatNoDefinitionIsMissed() {
        assign(BEGINNING);
        unit.advanceTo(BEGINNING + 11 * SECOND);
        assertEquals(List.of(), refused());
        unit.advanceTo(BEGINNING + 11 * SECOND + 1);
        assertEquals(List.of("unknown_definition"), refused());
    }

    @Test
    void whoeverReadsTheDefinitionsIsToldEveryTimeThatIsSeen() {
        assign(BEGINNING);
        assertEquals(BEGINNING, seenUpTo);
        unit.advanceTo(BEGINNING + 4 * SECOND);
        assertEquals(BEGINNING + 4 * SECOND, seenUpTo);
    }

    @Test
    void aTimerThatIsNotTheUnitsDoesNothing() {
        define("");
        assign(BEGINNING);
        Object before = unit.state.getField(0);
        long timer = unit.timers.first();
        unit.fire(timer - 1);
        assertSame(before, unit.state.getField(0));
        assertEquals(List.of(timer), List.copyOf(unit.timers));
    }

    @Test
    void aUnitThatMayStillChangeIsKeptHoweverLongItIsSilent() {
        define("");
        assign(BEGINNING);
        unit.advanceTo(LONG_AFTERWARDS);
        assertFalse(unit.isGone());
        assertEquals(1, unit.timers.size());
        assertNotEquals(null, unit.state.getField(0));
    }

    @Test
    void ofAUnitWhoseExperimentEndedLongAgoNothingIsLeft() {
        define(ENDED);
        assign(BEGINNING);
        for (int i = 1; i < 2000; i++) {
            outcome(BEGINNING + i);
        }
        assertFalse(unit.pages.getMap().isEmpty());
        unit.advanceTo(LONG_AFTERWARDS);
        assertTrue(unit.isGone());
    }

    @Test
    void ofAUnitThatWasNeverExposedNothingIsLeft() {
        outcome(BEGINNING);
        unit.advanceTo(LONG_AFTERWARDS);
        assertTrue(unit.isGone());
    }

    @Test
    void anUnreadableRecordOfANewUnitLeavesNothing() {
        receive("livelift.acme.outcomes", "nonsense".getBytes(StandardCharsets.UTF_8), BEGINNING);
        assertEquals(List.of("unreadable"), refused());
        assertTrue(unit.isGone());
    }

    @Test
    void aRecordOfNoTenantsTopicIsRefused() {
        receive("livelift-internal.slots", new byte[0], BEGINNING);
        assertEquals(List.of("mismatch"), refused());
        assertTrue(unit.isGone());
    }

    // ---- what happens

    private void define(String ending) {
        String json =
                """
                {"tenant_id": "acme", "experiment_id": "checkout", "config_version": 1, "control": "control", %s
                 "variants": {"control": 0.5, "treatment": 0.5}, "cohort_hours": 1, "segments": {},
                 "pre_period_days": 0, "metrics": [{"id": "revenue", "source": "revenue", "kind": "mean", "cap": null,
                 "window_start_days": 0, "window_days": null}]}"""
                        .formatted(ending);
        definitions.add(DefinitionReader.read(json.getBytes(StandardCharsets.UTF_8), BEGINNING - 60 * SECOND));
    }

    private void assign(long atMs) {
        receive("livelift.acme.assignments", event(1, encoder -> {
            encoder.writeString("checkout");
            encoder.writeInt(1);
            encoder.writeString("treatment");
            encoder.writeLong(atMs);
            encoder.writeMapStart();
            encoder.setItemCount(0);
            encoder.writeMapEnd();
            encoder.writeBoolean(false);
        }), atMs);
    }

    private void outcome(long atMs) {
        receive("livelift.acme.outcomes", event(2, encoder -> {
            encoder.writeString("revenue");
            encoder.writeDouble(12.5);
            encoder.writeDouble(1);
            encoder.writeLong(atMs);
        }), atMs);
    }

    private void receive(String topic, byte[] value, long appendTimeMs) {
        unit.receive(GenericRowData.of(
                StringData.fromString("acme"),
                "user-1".getBytes(StandardCharsets.UTF_8),
                value,
                StringData.fromString(topic),
                0,
                (long) events++,
                TimestampData.fromEpochMillis(appendTimeMs)));
    }

    private interface Fields {
        void write(BinaryEncoder encoder) throws IOException;
    }

    private byte[] event(int schemaId, Fields fields) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(new byte[] {0, 0, 0, 0, (byte) schemaId});
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        try {
            encoder.writeString("acme");
            encoder.writeString("user-1");
            encoder.writeString("event-" + events);
            fields.write(encoder);
            encoder.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    private static String schema(int id) {
        String name = id == 1 ? "Assignment" : id == 2 ? "Outcome" : null;
        if (name == null) {
            return null;
        }
        try (InputStream in = EventDecoder.class.getResourceAsStream("/avro/" + name + ".avsc")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    // ---- what comes of it

    private List<Long> exposures() {
        return rows.stream()
                .filter(row -> row.getString(0).toString().equals("slot"))
                .filter(row -> row.getString(5).toString().isEmpty())
                .map(row -> row.getLong(10))
                .toList();
    }

    private List<String> refused() {
        return rows.stream()
                .filter(row -> row.getString(0).toString().equals("rejected"))
                .map(row -> row.getRow(13, 8).getString(0).toString())
                .toList();
    }
}

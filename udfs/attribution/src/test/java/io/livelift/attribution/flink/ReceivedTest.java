package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

/** Records and keys as they travel between tasks and lie in savepoints. */
class ReceivedTest {
    private static final byte[] KEY = "user-1".getBytes(StandardCharsets.UTF_8);

    private final TypeSerializer<Received> records = new ReceivedSerializer();
    private final TypeSerializer<UnitKey> keys = new UnitKeySerializer();

    @Test
    void aRecordArrivesAsItWasSent() throws IOException {
        TenantTopic topic = TenantTopic.of("livelift.acme.outcomes");
        Received arrived = through(records, new Received(topic, 3, 1L << 40, 1_767_225_600_000L, KEY, new byte[] {1, 2}));
        assertEquals("acme", arrived.topic().tenantId());
        assertEquals(3, arrived.partition());
        assertEquals(1L << 40, arrived.offset());
        assertEquals(1_767_225_600_000L, arrived.appendTimeMs());
        assertArrayEquals(KEY, arrived.key());
        assertArrayEquals(new byte[] {1, 2}, arrived.value());
        assertSame(arrived.topic(), through(records, arrived).topic(), "a topic's name is read once");
    }

    @Test
    void aRecordWithoutKeyOrValueArrivesWithoutThem() throws IOException {
        Received arrived = through(records, new Received(TenantTopic.of("x"), 0, 0, 0, null, null));
        assertNull(arrived.key());
        assertNull(arrived.value());
    }

    @Test
    void topicsWhoseNamesShareAHashAreToldApart() throws IOException {
        assertEquals("livelift.a.Aa".hashCode(), "livelift.a.BB".hashCode());
        for (String name : new String[] {"livelift.a.Aa", "livelift.a.BB", "livelift.a.Aa"}) {
            Received arrived = through(records, new Received(TenantTopic.of(name), 0, 0, 0, KEY, null));
            assertEquals(name, arrived.topic().name());
        }
    }

    @Test
    void aKeyTellsTenantAndUnitApart() throws IOException {
        UnitKey key = UnitKey.of("acme", KEY);
        assertEquals("acme", key.tenantId());
        assertArrayEquals(KEY, key.key());
        assertEquals(key, through(keys, key));
        assertEquals(key.hashCode(), through(keys, key).hashCode());
        assertNotEquals(key, UnitKey.of("acm", "euser-1".getBytes(StandardCharsets.UTF_8)));
        assertNotEquals(UnitKey.of("acme", null), UnitKey.of("acme", new byte[0]));
        assertNull(UnitKey.of("acme", null).key());
    }

    /** Savepoints hold units by this number: a change of it needs a rebuild. */
    @Test
    void theHashOfAKeyStaysWhatItIs() {
        assertEquals(1001610196, UnitKey.of("acme", KEY).hashCode());
        assertEquals(-1023800488, UnitKey.of("", null).hashCode());
    }

    private static <T> T through(TypeSerializer<T> serializer, T value) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(64);
        serializer.serialize(value, out);
        DataOutputSerializer copy = new DataOutputSerializer(64);
        serializer.copy(new DataInputDeserializer(out.getCopyOfBuffer()), copy);
        assertArrayEquals(out.getCopyOfBuffer(), copy.getCopyOfBuffer());
        return serializer.deserialize(new DataInputDeserializer(out.getCopyOfBuffer()));
    }
}

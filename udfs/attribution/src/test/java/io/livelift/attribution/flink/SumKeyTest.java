package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.livelift.attribution.Series;
import java.io.IOException;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class SumKeyTest {
    private static final Series SERIES =
            new Series("slot", "acme", "kaufen — купить", 7, "b", "revenue", "country=DE", "clean");

    @Test
    void aKeySaysWhatItIsMadeOf() throws IOException {
        SumKey key = SumKey.of(SERIES, 1_767_225_600_000L);
        DataOutputSerializer out = new DataOutputSerializer(64);
        new SumKeySerializer().serialize(key, out);
        SumKey read = new SumKeySerializer().deserialize(new DataInputDeserializer(out.getCopyOfBuffer()));
        assertEquals(key, read);
        assertEquals(key.hashCode(), read.hashCode());
        assertEquals(SERIES, read.series());
        assertEquals("slot", read.kind());
        assertEquals(1_767_225_600_000L, read.timeMs());
    }

    @Test
    void anotherTimeOrTextIsAnotherKeyWhereverTextsEnd() {
        SumKey key = SumKey.of(new Series("slot", "acme", "ab", 1, "c", "", "", ""), 0);
        assertNotEquals(key, SumKey.of(new Series("slot", "acme", "ab", 1, "c", "", "", ""), 1));
        assertNotEquals(key, SumKey.of(new Series("slot", "acme", "a", 1, "bc", "", "", ""), 0));
        assertNotEquals(key, SumKey.of(new Series("slot", "acme", "ab", 2, "c", "", "", ""), 0));
    }
}

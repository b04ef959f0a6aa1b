package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.livelift.attribution.SumDelta;
import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.core.memory.DataOutputSerializer;
import org.junit.jupiter.api.Test;

class SumTest {
    private static final SumKey NO_KEY = new SumKey(new byte[0]);

    private final Sum.Serializer serializer = new Sum.Serializer();

    @Test
    void aSumIsThatOfItsChangesHoweverTheyAreSplitAndMerged() {
        Random random = new Random(7);
        List<SumChange> changes = new ArrayList<>();
        BigInteger[] expected = zeros();
        for (int i = 0; i < 300; i++) {
            BigInteger[] row = row(random);
            for (int sum = 0; sum < SumDelta.SUMS; sum++) {
                expected[sum] = expected[sum].add(row[sum]);
            }
            changes.add(SumChange.counted(NO_KEY, 2, wire(row), 1000 + i));
        }
        for (int parts = 1; parts <= 5; parts++) {
            Sum[] sums = new Sum[parts];
            Arrays.setAll(sums, part -> new Sum());
            changes.forEach(change -> sums[random.nextInt(sums.length)].add(change));
            Sum merged = new Sum();
            for (Sum sum : sums) {
                merged.add(sum);
            }
            assertArrayEquals(expected, SumDelta.decode(merged.sums.toBytes()));
            assertEquals(600, merged.n);
            assertEquals(300, merged.updates);
            assertEquals(1299, merged.countedAtMs);
        }
    }

    @Test
    void aSumSurvivesSerializationAndCopying() throws IOException {
        Random random = new Random(9);
        for (int i = 0; i < 50; i++) {
            Sum sum = new Sum();
            sum.add(SumChange.counted(NO_KEY, i, wire(i == 0 ? zeros() : row(random)), i));
            sum.isHeld = i % 2 == 0;
            byte[] written = written(sum);
            DataOutputSerializer second = new DataOutputSerializer(64);
            serializer.copy(new DataInputDeserializer(written), second);
            assertArrayEquals(written, second.getCopyOfBuffer());

            Sum copy = serializer.copy(sum);
            assertArrayEquals(written, written(copy));
            copy.add(SumChange.counted(NO_KEY, 1, wire(row(random)), 99));
            assertArrayEquals(written, written(sum));
        }
    }

    @Test
    void bytesOfALaterVersionAreRefused() {
        DataInputDeserializer later = new DataInputDeserializer(new byte[] {2, 0, 0});
        IOException refused = assertThrows(IOException.class, () -> serializer.deserialize(later));
        assertEquals("a sum in form 2, which this version cannot read", refused.getMessage());
    }

    @Test
    void aSavepointsSnapshotGivesTheSerializerBack() throws IOException {
        DataOutputSerializer written = new DataOutputSerializer(64);
        TypeSerializerSnapshot.writeVersionedSnapshot(written, serializer.snapshotConfiguration());
        TypeSerializer<Sum> restored = TypeSerializerSnapshot.<Sum>readVersionedSnapshot(
                        new DataInputDeserializer(written.getCopyOfBuffer()), getClass().getClassLoader())
                .restoreSerializer();
        assertEquals(serializer, restored);
    }

    private byte[] written(Sum sum) throws IOException {
        DataOutputSerializer out = new DataOutputSerializer(64);
        serializer.serialize(sum, out);
        return out.getCopyOfBuffer();
    }

    private static BigInteger[] zeros() {
        BigInteger[] zeros = new BigInteger[SumDelta.SUMS];
        Arrays.fill(zeros, BigInteger.ZERO);
        return zeros;
    }

    /** Numbers of every size a slot can have, with both signs and some zeros. */
    private static BigInteger[] row(Random random) {
        BigInteger[] row = zeros();
        for (int sum = 0; sum < row.length; sum++) {
            BigInteger size = new BigInteger(random.nextInt(141), random);
            row[sum] = random.nextBoolean() ? size : size.negate();
        }
        return row;
    }

    /** The wire form as {@link SumDelta} documents it. */
    private static byte[] wire(BigInteger[] sums) {
        DataOutputSerializer form = new DataOutputSerializer(64);
        int present = 0;
        for (int sum = 0; sum < sums.length; sum++) {
            present |= sums[sum].signum() == 0 ? 0 : 1 << sum;
        }
        if (present == 0) {
            return new byte[0];
        }
        try {
            form.writeByte(present);
            form.writeByte(present >> 8);
            for (BigInteger sum : sums) {
                if (sum.signum() != 0) {
                    byte[] bigEndian = sum.toByteArray();
                    form.writeByte(bigEndian.length);
                    for (int i = bigEndian.length - 1; i >= 0; i--) {
                        form.writeByte(bigEndian[i]);
                    }
                }
            }
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        return form.getCopyOfBuffer();
    }
}

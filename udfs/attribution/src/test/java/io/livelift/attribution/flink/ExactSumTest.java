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

class ExactSumTest {
    private final ExactSum exactSum = new ExactSum();

    @Test
    void theTotalIsTheSumOfTheNumbersHoweverTheyAreSplitAndMerged() {
        Random random = new Random(7);
        List<byte[]> rows = new ArrayList<>();
        BigInteger[] expected = zeros();
        for (int i = 0; i < 300; i++) {
            BigInteger[] row = row(random);
            for (int sum = 0; sum < SumDelta.SUMS; sum++) {
                expected[sum] = expected[sum].add(row[sum]);
            }
            rows.add(wire(row));
        }
        for (int parts = 1; parts <= 5; parts++) {
            SumDelta[] totals = new SumDelta[parts];
            Arrays.setAll(totals, part -> exactSum.createAccumulator());
            rows.forEach(row -> exactSum.accumulate(totals[random.nextInt(totals.length)], row));
            SumDelta merged = exactSum.createAccumulator();
            exactSum.merge(merged, List.of(totals));
            assertArrayEquals(expected, SumDelta.decode(exactSum.getValue(merged)));
        }
    }

    @Test
    void whatIsTakenBackWasNeverThere() {
        Random random = new Random(8);
        byte[] kept = wire(row(random));
        byte[] takenBack = wire(row(random));
        SumDelta total = exactSum.createAccumulator();
        exactSum.accumulate(total, takenBack);
        exactSum.accumulate(total, kept);
        exactSum.retract(total, takenBack);
        assertArrayEquals(kept, exactSum.getValue(total));
        exactSum.retract(total, kept);
        assertEquals(0, exactSum.getValue(total).length);
    }

    @Test
    void nullAndNoBytesAddNothing() {
        SumDelta total = exactSum.createAccumulator();
        exactSum.accumulate(total, null);
        exactSum.accumulate(total, new byte[0]);
        exactSum.retract(total, null);
        assertEquals(0, exactSum.getValue(total).length);
    }

    @Test
    void aTotalSurvivesSerializationAndCopying() throws IOException {
        Random random = new Random(9);
        SumDeltaSerializer serializer = new SumDeltaSerializer();
        for (int i = 0; i < 50; i++) {
            SumDelta total = new SumDelta();
            total.add(wire(i == 0 ? zeros() : row(random)));
            DataOutputSerializer first = new DataOutputSerializer(64);
            serializer.serialize(total, first);
            DataOutputSerializer second = new DataOutputSerializer(64);
            serializer.copy(new DataInputDeserializer(first.getCopyOfBuffer()), second);
            assertArrayEquals(first.getCopyOfBuffer(), second.getCopyOfBuffer());
            SumDelta read = serializer.deserialize(new DataInputDeserializer(second.getCopyOfBuffer()));
            assertArrayEquals(total.toBytes(), read.toBytes());

            SumDelta copy = serializer.copy(total);
            byte[] before = total.toBytes();
            copy.add(wire(row(random)));
            assertArrayEquals(before, total.toBytes());
        }
    }

    @Test
    void bytesOfALaterVersionAreRefused() {
        DataInputDeserializer later = new DataInputDeserializer(new byte[] {2, 0, 0});
        IOException refused = assertThrows(IOException.class, () -> new SumDeltaSerializer().deserialize(later));
        assertEquals("sums in form 2, which this version cannot read", refused.getMessage());
    }

    @Test
    void aSavepointsSnapshotGivesTheSerializerBack() throws IOException {
        DataOutputSerializer written = new DataOutputSerializer(64);
        TypeSerializerSnapshot.writeVersionedSnapshot(written, new SumDeltaSerializer().snapshotConfiguration());
        TypeSerializer<SumDelta> restored = TypeSerializerSnapshot.<SumDelta>readVersionedSnapshot(
                        new DataInputDeserializer(written.getCopyOfBuffer()), getClass().getClassLoader())
                .restoreSerializer();
        assertEquals(new SumDeltaSerializer(), restored);
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

package io.livelift.attribution;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SumDeltaTest {
    private static final BigInteger LARGEST = BigInteger.ONE.shiftLeft(191).subtract(BigInteger.ONE);
    private static final BigInteger SMALLEST = BigInteger.ONE.shiftLeft(191).negate();

    private static BigInteger[] zeros() {
        BigInteger[] sums = new BigInteger[SumDelta.SUMS];
        Arrays.fill(sums, BigInteger.ZERO);
        return sums;
    }

    private static byte[] bytes(BigInteger... sums) {
        SumsWriter writer = new SumsWriter(SumDelta.SUMS);
        for (int i = 0; i < sums.length; i++) {
            if (sums[i].signum() != 0) {
                writer.put(
                        i,
                        sums[i].longValue(),
                        sums[i].shiftRight(64).longValue(),
                        sums[i].shiftRight(128).longValue());
            }
        }
        return writer.finish();
    }

    private static BigInteger[] random(Random random, int maxBits) {
        BigInteger[] sums = zeros();
        for (int i = 0; i < sums.length; i++) {
            BigInteger number = new BigInteger(random.nextInt(maxBits + 1), random);
            sums[i] = random.nextBoolean() ? number : number.negate().subtract(BigInteger.valueOf(random.nextInt(2)));
        }
        return sums;
    }

    @Test
    void adding_is_exact_for_numbers_of_every_length() {
        Random random = new Random(7);
        for (int round = 0; round < 20_000; round++) {
            BigInteger[] a = random(random, 190);
            BigInteger[] b = random(random, 190);
            SumDelta total = new SumDelta();
            total.add(bytes(a));
            assertArrayEquals(a, SumDelta.decode(total.toBytes()));
            total.add(bytes(b));
            BigInteger[] sum = zeros();
            Arrays.setAll(sum, i -> a[i].add(b[i]));
            assertArrayEquals(sum, SumDelta.decode(total.toBytes()));
            total.add(bytes(Arrays.stream(a).map(BigInteger::negate).toArray(BigInteger[]::new)));
            assertArrayEquals(bytes(b), total.toBytes());
            SumDelta other = new SumDelta();
            other.add(bytes(a));
            total.add(other);
            assertArrayEquals(sum, SumDelta.decode(total.toBytes()));
        }
    }

    @Test
    void nothing_is_no_bytes_and_what_goes_out_again_leaves_nothing() {
        SumDelta total = new SumDelta();
        assertTrue(total.isZero());
        assertEquals(0, total.toBytes().length);
        byte[] one = bytes(BigInteger.ONE, BigInteger.TEN.negate());
        total.add(one);
        assertFalse(total.isZero());
        total.add(bytes(BigInteger.ONE.negate(), BigInteger.TEN));
        assertTrue(total.isZero());
        assertEquals(0, total.toBytes().length);
        total.add(new byte[0]);
        assertTrue(total.isZero());
    }

    @Test
    void what_was_cleared_begins_at_zero_again() {
        Random random = new Random(3);
        SumDelta reused = new SumDelta();
        for (int round = 0; round < 1_000; round++) {
            BigInteger[] sums = random(random, round % 2 == 0 ? 60 : 190);
            BigInteger[] wanted = zeros();
            reused.clear();
            assertTrue(reused.isZero());
            int count = random.nextInt(SumDelta.SUMS + 1);
            for (int i = 0; i < count; i++) {
                long number = sums[i].longValue();
                reused.add(i, number);
                reused.add(i, number, sums[i].shiftRight(64).longValue(), sums[i].shiftRight(128).longValue());
                wanted[i] = sums[i].add(BigInteger.valueOf(number));
            }
            assertArrayEquals(wanted, SumDelta.decode(reused.toBytes()));
            SumDelta copy = new SumDelta();
            copy.add(reused);
            assertArrayEquals(bytes(wanted), copy.toBytes());
        }
    }

    @Test
    void a_sum_that_would_exceed_192_bits_stops_with_an_error_instead_of_wrapping() {
        SumDelta high = new SumDelta();
        high.add(bytes(LARGEST));
        assertThrows(ArithmeticException.class, () -> high.add(bytes(BigInteger.ONE)));
        SumDelta low = new SumDelta();
        low.add(bytes(SMALLEST));
        assertArrayEquals(new BigInteger[] {SMALLEST}, Arrays.copyOf(SumDelta.decode(low.toBytes()), 1));
        assertThrows(ArithmeticException.class, () -> low.add(bytes(BigInteger.ONE.negate())));
    }

    @Test
    void bytes_of_another_form_are_refused() {
        byte[] good = bytes(BigInteger.ONE, BigInteger.ONE.shiftLeft(100));
        for (byte[] bad : List.of(
                new byte[] {1},
                new byte[] {0, 0},
                new byte[] {0, 0x40, 1, 1},
                new byte[] {1, 0, 25},
                Arrays.copyOf(good, good.length - 1),
                Arrays.copyOf(good, good.length + 1))) {
            assertThrows(IllegalArgumentException.class, () -> new SumDelta().add(bad), () -> Arrays.toString(bad));
        }
    }

    /** The lines are {@code fourteen decimals, tab, hex}; the Python twin is tested with the same file. */
    @Test
    void the_golden_vectors_have_not_changed() throws IOException {
        StringBuilder written = new StringBuilder();
        for (BigInteger[] sums : goldenSums()) {
            written.append(String.join(
                            ",", Arrays.stream(sums).map(BigInteger::toString).toList()))
                    .append('\t')
                    .append(HexFormat.of().formatHex(bytes(sums)))
                    .append('\n');
        }
        Path golden = Path.of("../../tests/golden/attribution/sums.tsv");
        if (Boolean.getBoolean("golden.write")) {
            Files.createDirectories(golden.getParent());
            Files.writeString(golden, written);
        }
        assertEquals(Files.readString(golden), written.toString());
    }

    private static List<BigInteger[]> goldenSums() {
        Random random = new Random(14);
        List<BigInteger[]> all = new java.util.ArrayList<>();
        all.add(zeros());
        for (int bits : new int[] {7, 8, 15, 16, 63, 64, 107, 127, 128, 140, 191}) {
            BigInteger[] edge = zeros();
            edge[0] = BigInteger.ONE.shiftLeft(bits).subtract(BigInteger.ONE);
            edge[5] = BigInteger.ONE.shiftLeft(bits).negate();
            edge[13] = BigInteger.ONE.shiftLeft(bits - 1);
            all.add(edge);
        }
        for (int i = 0; i < 20; i++) {
            all.add(random(random, 140));
        }
        return all;
    }
}

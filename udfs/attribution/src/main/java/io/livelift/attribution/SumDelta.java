package io.livelift.attribution;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.math.BigInteger;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The fourteen sums {@code y,d,x,e,yy,yd,yx,ye,dd,dx,de,xx,xe,ee} of a slot, or their change, and their exact addition.
 *
 * <p>An instance is a running total of 192 bits for each sum, with the sign. Every operation either gives the exact
 * sums or throws {@link ArithmeticException}; nothing wraps. After an exception the total is undefined.
 *
 * <p>Wire form ({@link #toBytes}): nothing at all if every sum is 0. Else two bytes, little-endian, in which bit i says
 * that sum i is not 0 (bits 14 and 15 are 0, kept for other forms); then for each such sum, in order, one byte with its
 * length L of 1 to 24 and L bytes, two's complement, little-endian, the fewest that hold it. Equal sums have equal
 * bytes. The twin in Python is {@code udfs/attribution/sums.py}.
 */
public final class SumDelta {
    /** Number of sums. */
    public static final int SUMS = 14;

    /** Bytes of the longest sum. */
    static final int MAX_LENGTH = 24;

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    /** Three words for each sum, least significant first. */
    private final long[] words = new long[3 * SUMS];

    /**
     * Adds sums in the wire form.
     *
     * @throws ArithmeticException if a sum would leave 192 bits
     * @throws IllegalArgumentException if the bytes are not in the wire form
     */
    public void add(byte[] sums) {
        addTimes(sums, 1);
    }

    /** Takes sums in the wire form out again; fails as {@link #add(byte[])} does. */
    public void subtract(byte[] sums) {
        addTimes(sums, -1);
    }

    /** Adds another total; fails as {@link #add(byte[])} does. */
    public void add(SumDelta other) {
        for (int word = 0; word < words.length; word += 3) {
            add(words, word, other.words[word], other.words[word + 1], other.words[word + 2]);
        }
    }

    /** Back to all zero. */
    public void clear() {
        Arrays.fill(words, 0);
    }

    /** Whether all sums are 0. */
    public boolean isZero() {
        for (long word : words) {
            if (word != 0) {
                return false;
            }
        }
        return true;
    }

    /** The sums in the wire form. */
    public byte[] toBytes() {
        SumsWriter writer = new SumsWriter();
        writer.start();
        for (int sum = 0; sum < SUMS; sum++) {
            long low = words[3 * sum];
            long middle = words[3 * sum + 1];
            long high = words[3 * sum + 2];
            if ((low | middle | high) != 0) {
                writer.put(sum, low, middle, high);
            }
        }
        return writer.finish();
    }

    /**
     * The fourteen sums of a wire form as numbers, in the order of the class's description.
     *
     * @throws IllegalArgumentException if the bytes are not in the wire form
     */
    public static BigInteger[] decode(byte[] sums) {
        SumDelta total = new SumDelta();
        total.add(sums);
        BigInteger[] decoded = new BigInteger[SUMS];
        byte[] bigEndian = new byte[MAX_LENGTH];
        for (int sum = 0; sum < SUMS; sum++) {
            for (int i = 0; i < MAX_LENGTH; i++) {
                bigEndian[MAX_LENGTH - 1 - i] = (byte) (total.words[3 * sum + i / 8] >> 8 * (i % 8));
            }
            decoded[sum] = new BigInteger(bigEndian);
        }
        return decoded;
    }

    private void addTimes(byte[] sums, int sign) {
        if (sums.length == 0) {
            return;
        }
        int present = presentSums(sums);
        int at = 2;
        for (int left = present; left != 0; left &= left - 1) {
            int sum = Integer.numberOfTrailingZeros(left);
            int length = lengthAt(sums, at++);
            long low = word(sums, at, length, 0);
            long middle = length > 8 ? word(sums, at, length, 8) : low >> 63;
            long high = length > 16 ? word(sums, at, length, 16) : middle >> 63;
            at += length;
            if (sign > 0) {
                add(words, 3 * sum, low, middle, high);
            } else {
                subtract(words, 3 * sum, low, middle, high);
            }
        }
        requireEnd(sums, at);
    }

    private static int presentSums(byte[] delta) {
        if (delta.length < 2) {
            throw new IllegalArgumentException("sums of 1 byte");
        }
        int present = (delta[0] & 0xff) | (delta[1] & 0xff) << 8;
        if (present == 0 || present >>> SUMS != 0) {
            throw new IllegalArgumentException("sums of an unknown form: head " + present);
        }
        return present;
    }

    private static int lengthAt(byte[] delta, int at) {
        int length = at < delta.length ? delta[at] : 0;
        if (length < 1 || length > MAX_LENGTH) {
            throw new IllegalArgumentException("sums of " + delta.length + " bytes have no valid length at byte " + at);
        }
        return length;
    }

    private static void requireEnd(byte[] delta, int at) {
        if (at != delta.length) {
            throw new IllegalArgumentException("sums of " + delta.length + " bytes should have " + at);
        }
    }

    /** Word {@code from / 8} of a number of {@code length} bytes at {@code at}, with the sign carried to its top. */
    private static long word(byte[] delta, int at, int length, int from) {
        int bytes = Math.min(8, length - from);
        int start = at + from;
        if (start + 8 <= delta.length) {
            int unused = 64 - 8 * bytes;
            return (long) LONGS.get(delta, start) << unused >> unused;
        }
        if (start + bytes > delta.length) {
            throw new IllegalArgumentException("sums of " + delta.length + " bytes end within a number");
        }
        long word = delta[start + bytes - 1];
        for (int i = bytes - 2; i >= 0; i--) {
            word = word << 8 | delta[start + i] & 0xff;
        }
        return word;
    }

    private static void add(long[] words, int at, long low, long middle, long high) {
        long newLow = words[at] + low;
        long carry = Long.compareUnsigned(newLow, low) < 0 ? 1 : 0;
        long partial = words[at + 1] + middle;
        long partialCarry = Long.compareUnsigned(partial, middle) < 0 ? 1 : 0;
        long newMiddle = partial + carry;
        long middleCarry = partialCarry | (carry == 1 && newMiddle == 0 ? 1 : 0);
        words[at] = newLow;
        words[at + 1] = newMiddle;
        words[at + 2] = top(words[at + 2], high, middleCarry);
    }

    private static void subtract(long[] words, int at, long low, long middle, long high) {
        // a - b = a + ~b + 1: the one is carried in at the bottom.
        long notLow = ~low;
        long newLow = words[at] + notLow + 1;
        long carry = Long.compareUnsigned(words[at], low) >= 0 ? 1 : 0;
        long notMiddle = ~middle;
        long partial = words[at + 1] + notMiddle;
        long partialCarry = Long.compareUnsigned(partial, notMiddle) < 0 ? 1 : 0;
        long newMiddle = partial + carry;
        long middleCarry = partialCarry | (carry == 1 && newMiddle == 0 ? 1 : 0);
        words[at] = newLow;
        words[at + 1] = newMiddle;
        words[at + 2] = top(words[at + 2], ~high, middleCarry);
    }

    private static long top(long a, long b, long carry) {
        long result = a + b + carry;
        if (((a ^ result) & (b ^ result)) < 0) {
            throw new ArithmeticException("a sum of a slot exceeds 192 bits");
        }
        return result;
    }
}

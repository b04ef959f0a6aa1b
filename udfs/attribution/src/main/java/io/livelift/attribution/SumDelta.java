package io.livelift.attribution;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * The fourteen sums {@code y,d,x,e,yy,yd,yx,ye,dd,dx,de,xx,xe,ee} of a slot, or their change, and their exact addition.
 *
 * <p>An instance is a running total of 192 bits for each sum, with the sign. Every operation either gives the exact
 * sums or throws {@link ArithmeticException}; nothing wraps. After an exception the total is undefined.
 * Not final, so that what is told together with its sums can be one object with them.
 *
 * <p>Wire form ({@link #toBytes}): nothing at all if every sum is 0. Else two bytes, little-endian, in which bit i says
 * that sum i is not 0 (bits 14 and 15 are 0, kept for other forms); then for each such sum, in order, one byte with its
 * length L of 1 to 24 and L bytes, two's complement, little-endian, the fewest that hold it. Equal sums have equal
 * bytes. The twin in Python is {@code udfs/attribution/sums.py}.
 */
public class SumDelta {
    /** Number of sums. */
    public static final int SUMS = 14;

    /** Bytes of the longest sum. */
    static final int MAX_LENGTH = 24;

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    private static final long[] NONE = {};

    /** The lowest word of each sum: zero from {@code count} on, or there is no room yet, as most totals have few. */
    private long[] low = NONE;

    /** Sums up to the highest one that was met since all were zero. */
    private int count;

    /** The middle and the high word of each of these sums; null while all of them fit their lowest word. */
    private long[] upper;

    /**
     * Adds sums in the wire form.
     *
     * @throws ArithmeticException if a sum would leave 192 bits
     * @throws IllegalArgumentException if the bytes are not in the wire form
     */
    public void add(byte[] sums) {
        if (sums.length == 0) {
            return;
        }
        int present = presentSums(sums);
        reserve(Integer.SIZE - Integer.numberOfLeadingZeros(present));
        int at = 2;
        for (int left = present; left != 0; left &= left - 1) {
            int sum = Integer.numberOfTrailingZeros(left);
            int length = lengthAt(sums, at++);
            long lowWord = word(sums, at, length, 0);
            long middleWord = length > 8 ? word(sums, at, length, 8) : lowWord >> 63;
            long highWord = length > 16 ? word(sums, at, length, 16) : middleWord >> 63;
            at += length;
            addTo(sum, lowWord, middleWord, highWord);
        }
        requireEnd(sums, at);
    }

    /** Adds another total; fails as {@link #add(byte[])} does. */
    public void add(SumDelta other) {
        reserve(other.count);
        for (int sum = 0; sum < other.count; sum++) {
            addTo(sum, other.low[sum], other.middle(sum), other.high(sum));
        }
    }

    /** Adds a number to one of the sums. */
    void add(int sum, long number) {
        if (number != 0) {
            add(sum, number, number >> 63, number >> 63);
        }
    }

    /** Adds a number of three words to one of the sums; fails as {@link #add(byte[])} does. */
    void add(int sum, long lowWord, long middleWord, long highWord) {
        reserve(sum + 1);
        addTo(sum, lowWord, middleWord, highWord);
    }

    /** Back to all zero. */
    public void clear() {
        Arrays.fill(low, 0, count, 0);
        upper = null;
        count = 0;
    }

    /** Whether all sums are 0. */
    public boolean isZero() {
        for (int sum = 0; sum < count; sum++) {
            if ((low[sum] | middle(sum) | high(sum)) != 0) {
                return false;
            }
        }
        return true;
    }

    /** The sums in the wire form. */
    public byte[] toBytes() {
        SumsWriter writer = new SumsWriter(count);
        for (int sum = 0; sum < count; sum++) {
            if ((low[sum] | middle(sum) | high(sum)) != 0) {
                writer.put(sum, low[sum], middle(sum), high(sum));
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
        Arrays.fill(decoded, BigInteger.ZERO);
        for (int sum = 0; sum < total.count; sum++) {
            ByteBuffer bigEndian = ByteBuffer.allocate(MAX_LENGTH)
                    .putLong(total.high(sum))
                    .putLong(total.middle(sum))
                    .putLong(total.low[sum]);
            decoded[sum] = new BigInteger(bigEndian.array());
        }
        return decoded;
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

    private long middle(int sum) {
        return upper == null ? low[sum] >> 63 : upper[2 * sum];
    }

    private long high(int sum) {
        return upper == null ? low[sum] >> 63 : upper[2 * sum + 1];
    }

    /** Room for so many sums. */
    private void reserve(int sums) {
        if (sums > low.length) {
            low = Arrays.copyOf(low, sums);
            if (upper != null) {
                upper = Arrays.copyOf(upper, 2 * sums);
            }
        }
        count = Math.max(count, sums);
    }

    private void widen() {
        long[] signs = new long[2 * low.length];
        for (int sum = 0; sum < low.length; sum++) {
            signs[2 * sum] = low[sum] >> 63;
            signs[2 * sum + 1] = low[sum] >> 63;
        }
        upper = signs;
    }

    private static boolean fitsOneWord(long lowWord, long middleWord, long highWord) {
        return middleWord == lowWord >> 63 && highWord == middleWord;
    }

    private void addTo(int sum, long lowWord, long middleWord, long highWord) {
        long newLow = low[sum] + lowWord;
        if (upper == null) {
            boolean overflows = ((low[sum] ^ newLow) & (lowWord ^ newLow)) < 0;
            if (!overflows && fitsOneWord(lowWord, middleWord, highWord)) {
                low[sum] = newLow;
                return;
            }
            widen();
        }
        long carry = Long.compareUnsigned(newLow, lowWord) < 0 ? 1 : 0;
        addUpper(sum, newLow, middleWord, highWord, carry);
    }

    private void addUpper(int sum, long newLow, long middleWord, long highWord, long carry) {
        long partial = upper[2 * sum] + middleWord;
        long partialCarry = Long.compareUnsigned(partial, middleWord) < 0 ? 1 : 0;
        long newMiddle = partial + carry;
        long middleCarry = partialCarry | (carry == 1 && newMiddle == 0 ? 1 : 0);
        upper[2 * sum + 1] = top(upper[2 * sum + 1], highWord, middleCarry);
        upper[2 * sum] = newMiddle;
        low[sum] = newLow;
    }

    private static long top(long a, long b, long carry) {
        long result = a + b + carry;
        if (((a ^ result) & (b ^ result)) < 0) {
            throw new ArithmeticException("a sum of a slot exceeds 192 bits");
        }
        return result;
    }
}

package io.livelift.attribution;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Writes the wire form that {@link SumDelta} describes, sum by sum in order. For one form. */
final class SumsWriter {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final int HEAD = 2;
    private static final byte[] ZERO = new byte[0];

    private final byte[] buffer;

    private int present;
    private int end = HEAD;

    /** @param sums how many will be written at most */
    SumsWriter(int sums) {
        // Room for the longest form, and for the rest of a whole word behind it.
        buffer = new byte[HEAD + sums * (1 + SumDelta.MAX_LENGTH) + 8];
    }

    /** Writes a sum that is not 0, given as three words. */
    void put(int sum, long low, long middle, long high) {
        present |= 1 << sum;
        int length = length(low, middle, high);
        buffer[end] = (byte) length;
        LONGS.set(buffer, end + 1, low);
        if (length > 8) {
            LONGS.set(buffer, end + 9, middle);
        }
        if (length > 16) {
            LONGS.set(buffer, end + 17, high);
        }
        end += 1 + length;
    }

    /** What was written; the same empty array if there was nothing. */
    byte[] finish() {
        if (present == 0) {
            return ZERO;
        }
        buffer[0] = (byte) present;
        buffer[1] = (byte) (present >> 8);
        return Arrays.copyOf(buffer, end);
    }

    private static int length(long low, long middle, long high) {
        if (middle == low >> 63 && high == middle) {
            return bytes(low);
        }
        return high == middle >> 63 ? 8 + bytes(middle) : 16 + bytes(high);
    }

    private static int bytes(long word) {
        return (64 - Long.numberOfLeadingZeros(word ^ word >> 63)) / 8 + 1;
    }
}

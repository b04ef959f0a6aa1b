package io.livelift.attribution;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** Reads what {@link ByteWriter} wrote; past the array's end it throws {@link IndexOutOfBoundsException}. Reused. */
final class ByteReader {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    byte[] buffer;
    int at;

    /** The upper word of the last {@link #signed128}. */
    long high;

    void start(byte[] newBuffer, int from) {
        buffer = newBuffer;
        at = from;
    }

    int u8() {
        return buffer[at++] & 0xff;
    }

    long fixed64() {
        long value = fixed64(buffer, at);
        at += 8;
        return value;
    }

    static long fixed64(byte[] buffer, int at) {
        return (long) LONGS.get(buffer, at);
    }

    long unsigned() {
        byte next = buffer[at++];
        if (next >= 0) {
            return next;
        }
        long value = next & 0x7f;
        int shift = 7;
        do {
            next = buffer[at++];
            value |= (long) (next & 0x7f) << shift;
            shift += 7;
        } while (next < 0);
        return value;
    }

    /** A number that was written as unsigned and is a length, count or ordinal. */
    int count() {
        return (int) unsigned();
    }

    long signed() {
        long value = unsigned();
        return value >>> 1 ^ -(value & 1);
    }

    /** The lower word of a number of 128 bits; the upper one is then in {@link #high}. */
    long signed128() {
        long low = 0;
        long up = 0;
        int shift = 0;
        byte next;
        do {
            next = buffer[at++];
            long bits = next & 0x7f;
            if (shift < 64) {
                low |= bits << shift;
            }
            if (shift > 57) {
                up |= shift < 64 ? bits >>> 64 - shift : bits << shift - 64;
            }
            shift += 7;
        } while (next < 0);
        long sign = -(low & 1);
        high = up >>> 1 ^ sign;
        return (low >>> 1 | up << 63) ^ sign;
    }

    /** Makes the slice the next bytes and moves behind them. */
    void bytes(Slice slice, int length) {
        slice.set(buffer, at, at + length);
        at += length;
    }
}

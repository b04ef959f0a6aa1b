package io.livelift.attribution;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A growing buffer of the numbers and ranges that a unit's state is made of; {@link ByteReader} reads them. Reused. */
final class ByteWriter {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    byte[] buffer = new byte[256];
    int length;

    void clear() {
        length = 0;
    }

    void u8(int value) {
        reserve(1);
        buffer[length++] = (byte) value;
    }

    /** Eight bytes. */
    void fixed64(long value) {
        reserve(8);
        LONGS.set(buffer, length, value);
        length += 8;
    }

    /** A number in seven bits a byte, least first; a negative one counts as above all others and takes ten bytes. */
    void unsigned(long value) {
        reserve(10);
        long rest = value;
        while ((rest & ~0x7fL) != 0) {
            buffer[length++] = (byte) (rest | 0x80);
            rest >>>= 7;
        }
        buffer[length++] = (byte) rest;
    }

    /** A number that is small in absolute value: its sign goes to the lowest bit. */
    void signed(long value) {
        unsigned(value << 1 ^ value >> 63);
    }

    /** A number of 128 bits that is small in absolute value. */
    void signed(long high, long low) {
        reserve(19);
        long sign = high >> 63;
        long restHigh = (high << 1 | low >>> 63) ^ sign;
        long rest = low << 1 ^ sign;
        while (restHigh != 0) {
            buffer[length++] = (byte) (rest | 0x80);
            rest = rest >>> 7 | restHigh << 57;
            restHigh >>>= 7;
        }
        unsigned(rest);
    }

    void bytes(byte[] from, int start, int end) {
        int count = end - start;
        reserve(count);
        System.arraycopy(from, start, buffer, length, count);
        length += count;
    }

    void bytes(Slice slice) {
        bytes(slice.buffer, slice.from, slice.to);
    }

    void bytes(ByteWriter other) {
        bytes(other.buffer, 0, other.length);
    }

    byte[] toArray() {
        return Arrays.copyOf(buffer, length);
    }

    private void reserve(int more) {
        if (length + more > buffer.length) {
            buffer = Arrays.copyOf(buffer, Math.max(2 * buffer.length, length + more));
        }
    }
}

package io.livelift.attribution;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A range of bytes of someone else's array; reused from record to record. */
final class Slice {
    private static final byte[] NOTHING = {};

    byte[] buffer = NOTHING;
    int from;
    int to;

    void set(byte[] newBuffer, int newFrom, int newTo) {
        buffer = newBuffer;
        from = newFrom;
        to = newTo;
    }

    int length() {
        return to - from;
    }

    boolean matches(byte[] other) {
        return other != null && Arrays.equals(buffer, from, to, other, 0, other.length);
    }

    boolean equalTo(Slice other) {
        return Arrays.equals(buffer, from, to, other.buffer, other.from, other.to);
    }

    /** The bytes as UTF-8. */
    @Override
    public String toString() {
        return new String(buffer, from, to - from, StandardCharsets.UTF_8);
    }
}

package io.livelift.attribution;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A string that is compared with slices of encoded events without decoding them. */
public final class Utf8 {
    private final String string;
    private final byte[] bytes;

    public Utf8(String string) {
        this.string = string;
        this.bytes = string.getBytes(StandardCharsets.UTF_8);
    }

    /** Whether the slice holds exactly this string. */
    public boolean matches(byte[] buffer, int from, int to) {
        return Arrays.equals(bytes, 0, bytes.length, buffer, from, to);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Utf8 that && string.equals(that.string);
    }

    @Override
    public int hashCode() {
        return string.hashCode();
    }

    /** The string itself, always the same instance. */
    @Override
    public String toString() {
        return string;
    }
}

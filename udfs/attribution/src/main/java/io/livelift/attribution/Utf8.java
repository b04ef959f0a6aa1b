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
    boolean matches(Slice slice) {
        return Arrays.equals(bytes, 0, bytes.length, slice.buffer, slice.from, slice.to);
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

    /**
     * The number of code points of a slice, or -1 if it is not UTF-8 (as the Unicode standard has it: no surrogates, no
     * overlong forms).
     */
    static int codePoints(Slice slice) {
        byte[] buffer = slice.buffer;
        int at = slice.from;
        while (at < slice.to && buffer[at] >= 0) {
            at++;
        }
        return at == slice.to ? slice.length() : codePointsFrom(slice, at);
    }

    private static int codePointsFrom(Slice slice, int start) {
        byte[] buffer = slice.buffer;
        int count = start - slice.from;
        int at = start;
        while (at < slice.to) {
            int lead = buffer[at++] & 0xff;
            count++;
            if (lead < 0x80) {
                continue;
            }
            int more = lead < 0xc2 ? -1 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : -1;
            if (more < 0 || at + more > slice.to) {
                return -1;
            }
            int second = buffer[at] & 0xff;
            boolean overlong = lead == 0xe0 && second < 0xa0 || lead == 0xf0 && second < 0x90;
            boolean outside = lead == 0xed && second > 0x9f || lead == 0xf4 && second > 0x8f;
            if (overlong || outside) {
                return -1;
            }
            for (int i = 0; i < more; i++) {
                if ((buffer[at++] & 0xc0) != 0x80) {
                    return -1;
                }
            }
        }
        return count;
    }
}

package io.livelift.attribution;

import java.nio.charset.StandardCharsets;

/**
 * How the event id of a first exposure is kept in the state: whole, because it decides ties. A UUID in its usual form
 * takes 17 bytes, anything else its length and its bytes.
 */
final class EventIdCode {
    private static final int UUID_LENGTH = 36;
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    private EventIdCode() {}

    static void write(Slice id, ByteWriter out) {
        int start = out.length;
        out.u8(0); // no id is empty, so this is free to say UUID
        if (id.length() == UUID_LENGTH && writeUuid(id, out)) {
            return;
        }
        out.length = start;
        out.unsigned(id.length());
        out.bytes(id);
    }

    private static boolean writeUuid(Slice id, ByteWriter out) {
        int half = -1;
        for (int i = 0; i < UUID_LENGTH; i++) {
            byte next = id.buffer[id.from + i];
            if (isHyphen(i)) {
                if (next != '-') {
                    return false;
                }
                continue;
            }
            int digit = next >= '0' && next <= '9' ? next - '0' : next >= 'a' && next <= 'f' ? next - 'a' + 10 : -1;
            if (digit < 0) {
                return false;
            }
            if (half < 0) {
                half = digit;
            } else {
                out.u8(half << 4 | digit);
                half = -1;
            }
        }
        return true;
    }

    private static boolean isHyphen(int position) {
        return position == 8 || position == 13 || position == 18 || position == 23;
    }

    /** Makes the slice the code that lies before the reader, and moves behind it. */
    static void pass(ByteReader in, Slice code) {
        int from = in.at;
        int length = in.count();
        in.at += length == 0 ? 16 : length;
        code.set(in.buffer, from, in.at);
    }

    /** The id itself. */
    static byte[] decode(Slice code) {
        ByteReader in = new ByteReader();
        in.start(code.buffer, code.from);
        int length = in.count();
        if (length != 0) {
            byte[] id = new byte[length];
            System.arraycopy(code.buffer, in.at, id, 0, length);
            return id;
        }
        byte[] id = new byte[UUID_LENGTH];
        for (int i = 0, digits = 0; i < UUID_LENGTH; i++) {
            if (isHyphen(i)) {
                id[i] = '-';
            } else {
                int pair = in.buffer[in.at + digits / 2];
                id[i] = HEX[(digits % 2 == 0 ? pair >> 4 : pair) & 0xf];
                digits++;
            }
        }
        return id;
    }
}

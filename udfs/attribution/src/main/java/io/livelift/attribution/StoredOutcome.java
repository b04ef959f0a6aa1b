package io.livelift.attribution;

/**
 * One accepted outcome as the state keeps it, for first exposures that come or move later. Reused.
 *
 * <p>A first byte: three bits for the power of ten that was taken out of the value, one bit for a weight other than 1,
 * four bits for the source (15: its number follows); then the times, the value and that weight.
 */
final class StoredOutcome {
    private static final long ONE = 1_000_000;
    private static final int LARGEST_EXPONENT = 7;
    private static final int WEIGHTED = 8;
    private static final int FAR_SOURCE = 15;
    private static final long[] POWERS = {1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000};

    /** Place of its metric_id among the unit's sources. */
    int source;

    long occurredAtMs;
    long appendTimeMs;
    long valueMicros;
    long weightMicros;

    void writeTo(ByteWriter out, long baseMs) {
        long digits = valueMicros;
        int exponent = 0;
        while (exponent < LARGEST_EXPONENT && digits != 0 && digits % 10 == 0) {
            digits /= 10;
            exponent++;
        }
        int near = Math.min(source, FAR_SOURCE);
        out.u8(near << 4 | (weightMicros == ONE ? 0 : WEIGHTED) | exponent);
        if (near == FAR_SOURCE) {
            out.unsigned(source);
        }
        out.signed(occurredAtMs - baseMs);
        out.signed(appendTimeMs - occurredAtMs);
        out.signed(digits);
        if (weightMicros != ONE) {
            out.unsigned(weightMicros);
        }
    }

    void readFrom(ByteReader in, long baseMs) {
        int head = in.u8();
        source = head >> 4;
        if (source == FAR_SOURCE) {
            source = in.count();
        }
        occurredAtMs = baseMs + in.signed();
        appendTimeMs = occurredAtMs + in.signed();
        valueMicros = in.signed() * POWERS[head & LARGEST_EXPONENT];
        weightMicros = (head & WEIGHTED) == 0 ? ONE : in.unsigned();
    }
}

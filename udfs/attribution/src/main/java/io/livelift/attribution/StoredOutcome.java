package io.livelift.attribution;

/**
 * One accepted outcome as the state keeps it, for first exposures that come or move later. Reused; the slices point
 * into what it was read from.
 *
 * <p>A first byte: three bits for the source (7: its names follow), three for what the ledger says (0 waiting, 1
 * expired, else in how many places it counts plus one; 7: that number follows less 6), two for the form of the value
 * (hundredths, units, micro-units; 3: micro-units, and a weight other than 1). Then what follows of these, the times,
 * the value and that weight.
 */
final class StoredOutcome extends Entry {
    /** The source of an outcome that names it itself. */
    static final int FAR = 7;

    private static final int EXPIRED = 1;
    private static final int MANY = 7;

    private static final long ONE = 1_000_000;
    private static final int HUNDREDTHS = 0;
    private static final int UNITS = 1;
    private static final int MICROS = 2;
    private static final int WEIGHTED = 3;
    private static final long[] SIZES = {10_000, ONE, 1, 1};

    /** Place of its metric_id and topic among the unit's {@link Sources}, or {@link #FAR}. */
    int source;

    /** Of a far one: its metric_id. */
    final Slice metricId = new Slice();

    /** Of a far one: its topic, empty for the tenant's own. */
    final Slice topic = new Slice();

    long occurredAtMs;
    long valueMicros;
    long weightMicros;

    /** In how many places it counts. */
    int places;

    /** Whether it was given up because no place had counted it in time. */
    boolean expired;

    /** Its column in the ledger. */
    int column() {
        return places > 0 ? Ledger.COUNTED : expired ? Ledger.EXPIRED_UNMATCHED : Ledger.WAITING;
    }

    @Override
    void writeTo(ByteWriter out, long baseMs) {
        int form = form();
        int status = places > 0 ? Math.min(places + 1, MANY) : expired ? EXPIRED : 0;
        out.u8(source << 5 | status << 2 | form);
        if (status == MANY) {
            out.unsigned(places + 1 - MANY);
        }
        if (source == FAR) {
            out.unsigned(metricId.length());
            out.bytes(metricId);
            out.unsigned(topic.length());
            out.bytes(topic);
        }
        out.signed(occurredAtMs - baseMs);
        out.signed(appendTimeMs - occurredAtMs);
        out.signed(valueMicros / SIZES[form]);
        if (form == WEIGHTED) {
            out.unsigned(weightMicros);
        }
    }

    private int form() {
        if (weightMicros != ONE) {
            return WEIGHTED;
        }
        return valueMicros % SIZES[UNITS] == 0 ? UNITS : valueMicros % SIZES[HUNDREDTHS] == 0 ? HUNDREDTHS : MICROS;
    }

    @Override
    void readFrom(ByteReader in, long baseMs) {
        int head = in.u8();
        int form = head & 3;
        int status = head >> 2 & 7;
        source = head >> 5;
        expired = status == EXPIRED;
        places = status == MANY ? MANY - 1 + in.count() : Math.max(0, status - 1);
        if (source == FAR) {
            in.bytes(metricId, in.count());
            in.bytes(topic, in.count());
        }
        occurredAtMs = baseMs + in.signed();
        appendTimeMs = occurredAtMs + in.signed();
        valueMicros = in.signed() * SIZES[form];
        weightMicros = form == WEIGHTED ? in.unsigned() : ONE;
    }
}

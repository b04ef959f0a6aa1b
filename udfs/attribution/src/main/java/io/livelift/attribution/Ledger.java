package io.livelift.attribution;

import java.util.HashMap;
import java.util.Map;

/**
 * Tells, of every record received, what became of it: one row when it is received, and one for each time it moves to
 * another column, always in the row of its own topic and append-time minute.
 *
 * <p>The columns lie in the places of a slot's fourteen sums, in the order below, the last one unused. {@link #LATE} is
 * a memo, no part of the balance: of the counted ones, those that came more than a minute after they happened.
 */
final class Ledger {
    static final int COUNTED = 0;
    static final int DUPLICATE = 1;
    static final int WAITING = 2;
    static final int EXPIRED_UNMATCHED = 3;
    private static final int FIRST_REASON = 4;
    private static final int LATE = 12;

    private static final String KIND = "ledger";
    private static final String NONE = "";
    private static final long MINUTE_MS = 60_000;

    /** The column that a new record leaves. */
    private static final int NOWHERE = -1;

    private final Output output;
    private final SumDelta move = new SumDelta();
    private final Map<String, Series> byTopic = new HashMap<>();

    Ledger(Output output) {
        this.output = output;
    }

    /** The column of a refused record. */
    static int column(Reason reason) {
        int order = reason.ordinal();
        int duplicate = Reason.DUPLICATE.ordinal();
        return order == duplicate ? DUPLICATE : FIRST_REASON + (order < duplicate ? order : order - 1);
    }

    /** Enters a new record in a column; its event time matters only if it is counted. */
    void received(LogRecord record, int column, long eventTimeMs) {
        send(
                record.tenantId,
                record.topic,
                record.appendTimeMs,
                NOWHERE,
                column,
                isLate(record.appendTimeMs, eventTimeMs),
                1,
                record.appendTimeMs);
    }

    /**
     * Moves a record that was received before from one column to another.
     *
     * @param topic the record's own, as its append time
     * @param asOfMs append time of what caused the move
     */
    void moved(
            String tenantId, String topic, long appendTimeMs, long eventTimeMs, int from, int to, long asOfMs) {
        send(tenantId, topic, appendTimeMs, from, to, isLate(appendTimeMs, eventTimeMs), 0, asOfMs);
    }

    private void send(
            String tenantId, String topic, long appendTimeMs, int from, int to, boolean late, long n, long asOfMs) {
        long minute = Math.floorDiv(appendTimeMs, MINUTE_MS) * MINUTE_MS;
        int added = late ? 1 : 0;
        move.clear();
        move.add(to, 1);
        move.add(LATE, to == COUNTED ? added : 0);
        if (from != NOWHERE) {
            move.add(from, -1);
            move.add(LATE, from == COUNTED ? -added : 0);
        }
        output.delta(series(tenantId, topic), minute, n, move, asOfMs);
    }

    private Series series(String tenantId, String topic) {
        Series known = byTopic.get(topic);
        if (known == null || !known.tenantId().equals(tenantId)) {
            known = new Series(KIND, tenantId, NONE, 0, NONE, topic, NONE, NONE);
            byTopic.put(topic, known);
        }
        return known;
    }

    private static boolean isLate(long appendTimeMs, long eventTimeMs) {
        return appendTimeMs - eventTimeMs > MINUTE_MS;
    }
}

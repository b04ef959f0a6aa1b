package io.livelift.attribution;

/**
 * Counts what units do by the minute in which it happened: each unit once at its first exposure, each outcome once for
 * every metric whose y it enters, with its value before any cut. Units of every class.
 */
final class ActivityRows {
    private static final int EXPOSURE = DefinitionSeries.EXPOSURE;
    private static final long MINUTE_MS = 60_000;
    private static final byte[] NO_SUMS = new byte[0];

    private final Output output;
    private final SumsWriter writer = new SumsWriter();
    private long lastValue;
    private byte[] lastSums = NO_SUMS;

    ActivityRows(Output output) {
        this.output = output;
    }

    /** Whether two places are the same experiment, version and variant to this view. */
    static boolean isSame(Place from, Place to) {
        return from != null && from.definition == to.definition && from.variant == to.variant;
    }

    /** The unit's first exposure is another; null for none before. */
    void exposed(Place from, Place to, long asOfMs) {
        if (isSame(from, to) && minute(from.assignedAtMs) == minute(to.assignedAtMs)) {
            return;
        }
        if (from != null) {
            send(from, EXPOSURE, from.assignedAtMs, -1, NO_SUMS, asOfMs);
        }
        send(to, EXPOSURE, to.assignedAtMs, 1, NO_SUMS, asOfMs);
    }

    /** An outcome enters a metric's y, or leaves it: n is 1 or -1. */
    void outcome(Place place, int metric, StoredOutcome outcome, long n, long asOfMs) {
        send(place, metric, outcome.occurredAtMs, n, sums(n * outcome.valueMicros), asOfMs);
    }

    /** The value as the first sum. A unit's experiments mostly ask for the same one after the other. */
    private byte[] sums(long value) {
        if (value != lastValue) {
            writer.start();
            if (value != 0) {
                writer.put(0, value, value >> 63, value >> 63);
            }
            lastValue = value;
            lastSums = writer.finish();
        }
        return lastSums;
    }

    private void send(Place place, int metric, long timeMs, long n, byte[] change, long asOfMs) {
        output.delta(place.definition.series().activity(place.variant, metric), minute(timeMs), n, change, asOfMs);
    }

    private static long minute(long timeMs) {
        return Math.floorDiv(timeMs, MINUTE_MS) * MINUTE_MS;
    }
}

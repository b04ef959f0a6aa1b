package io.livelift.attribution;

/**
 * Counts what units do by the minute in which it happened: each unit once at its first exposure, each outcome once for
 * every metric whose y it enters, with its value before any cut. Units of every class.
 */
final class ActivityRows {
    private static final int EXPOSURE = DefinitionSeries.EXPOSURE;
    private static final long MINUTE_MS = 60_000;
    private static final SumDelta NO_SUMS = new SumDelta();

    private final Output output;
    private final SumDelta value = new SumDelta();

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
        value.clear();
        value.add(0, n * outcome.valueMicros);
        send(place, metric, outcome.occurredAtMs, n, value, asOfMs);
    }

    private void send(Place place, int metric, long timeMs, long n, SumDelta change, long asOfMs) {
        output.delta(place.definition.series().activity(place.variant, metric), minute(timeMs), n, change, asOfMs);
    }

    private static long minute(long timeMs) {
        return Math.floorDiv(timeMs, MINUTE_MS) * MINUTE_MS;
    }
}

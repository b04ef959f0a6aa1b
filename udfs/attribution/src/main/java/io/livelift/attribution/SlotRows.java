package io.livelift.attribution;

import java.util.Arrays;

/** Turns changes of a unit's place into changes of sums: what it adds now minus what it added before, slot by slot. */
final class SlotRows {
    private static final int EXPOSURE = DefinitionSeries.EXPOSURE;
    private static final int EVERYONE = DefinitionSeries.EVERYONE;
    private static final long DAY_MS = 86_400_000;
    private static final SumDelta NO_SUMS = new SumDelta();

    private final Output output;
    private final SumDelta difference = new SumDelta();
    private final Contribution before = new Contribution();
    private final Contribution after = new Contribution();

    /** By metric. */
    private SumDelta[] sums = {};

    SlotRows(Output output) {
        this.output = output;
    }

    /** One metric's totals changed and nothing else did. */
    void totalsChanged(Place place, int metric, Contribution old, Contribution now, long appendTimeMs) {
        if (old.equalTo(now)) {
            return;
        }
        now.minus(old, difference);
        for (int dimension = EVERYONE; dimension < place.definition.dimensionCount(); dimension++) {
            if (isIn(place, dimension)) {
                send(place, metric, dimension, 0, difference, appendTimeMs);
            }
        }
    }

    /** The unit came into the experiment. */
    void entered(Place place, long appendTimeMs) {
        prepareSums(null, place);
        for (int dimension = EVERYONE; dimension < place.definition.dimensionCount(); dimension++) {
            if (isIn(place, dimension)) {
                sendAll(place, dimension, 1, appendTimeMs);
            }
        }
    }

    /**
     * The unit's first exposure or class changed. Where the slot is still the same only the difference is sent,
     * elsewhere the unit is taken out of its old slots and put into the new ones.
     */
    void moved(Place from, Place to, long appendTimeMs) {
        boolean comparable = from.definition == to.definition
                && from.variant == to.variant
                && from.unitClass() == to.unitClass();
        int dimensions = comparable ? from.definition.dimensionCount() : EVERYONE;
        prepareSums(comparable ? from : null, comparable ? to : null);
        for (int dimension = EVERYONE; dimension < dimensions; dimension++) {
            if (stays(from, to, dimension)) {
                sendAll(to, dimension, 0, appendTimeMs);
            }
        }
        prepareSums(from, null);
        for (int dimension = EVERYONE; dimension < from.definition.dimensionCount(); dimension++) {
            if (isIn(from, dimension) && !(comparable && stays(from, to, dimension))) {
                sendAll(from, dimension, -1, appendTimeMs);
            }
        }
        prepareSums(null, to);
        for (int dimension = EVERYONE; dimension < to.definition.dimensionCount(); dimension++) {
            if (isIn(to, dimension) && !(comparable && stays(from, to, dimension))) {
                sendAll(to, dimension, 1, appendTimeMs);
            }
        }
    }

    /** Whether both are in the same slot of a dimension. */
    private static boolean stays(Place from, Place to, int dimension) {
        return isIn(from, dimension)
                && isIn(to, dimension)
                && (dimension == EVERYONE || from.values[dimension] == to.values[dimension])
                && cohort(from, dimension) == cohort(to, dimension);
    }

    private static boolean isIn(Place place, int dimension) {
        return dimension == EVERYONE || place.values[dimension] != Definition.ABSENT;
    }

    private static long cohort(Place place, int dimension) {
        long width = dimension == EVERYONE ? place.definition.cohortMs() : DAY_MS;
        return Math.floorDiv(place.assignedAtMs, width) * width;
    }

    /** Forms, for every metric, what {@code to} adds minus what {@code from} adds; null adds nothing. */
    private void prepareSums(Place from, Place to) {
        Place either = to == null ? from : to;
        int metrics = either == null ? 0 : either.definition.metricCount();
        reserve(metrics);
        for (int metric = 0; metric < metrics; metric++) {
            before.clear();
            after.clear();
            Metric rule = either.definition.metric(metric);
            if (from != null) {
                from.totals.contribution(metric, rule, before);
            }
            if (to != null) {
                to.totals.contribution(metric, rule, after);
            }
            after.minus(before, sums[metric]);
        }
    }

    private void reserve(int metrics) {
        int have = sums.length;
        if (have < metrics) {
            sums = Arrays.copyOf(sums, metrics);
            for (int metric = have; metric < metrics; metric++) {
                sums[metric] = new SumDelta();
            }
        }
    }

    private void sendAll(Place place, int dimension, long n, long appendTimeMs) {
        if (n != 0) {
            send(place, EXPOSURE, dimension, n, NO_SUMS, appendTimeMs);
        }
        for (int metric = 0; metric < place.definition.metricCount(); metric++) {
            if (!sums[metric].isZero()) {
                send(place, metric, dimension, 0, sums[metric], appendTimeMs);
            }
        }
    }

    private void send(Place place, int metric, int dimension, long n, SumDelta change, long appendTimeMs) {
        int value = dimension == EVERYONE ? 0 : place.values[dimension];
        Series series = place.definition.series().slot(place.variant, place.unitClass(), metric, dimension, value);
        output.delta(series, cohort(place, dimension), n, change, appendTimeMs);
    }
}

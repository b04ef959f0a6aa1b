package io.livelift.attribution;

/** Turns changes of a unit's place into delta rows: what it adds now minus what it added before, slot by slot. */
final class SlotRows {
    private static final String SLOT = "slot";
    private static final String EXPOSURE = "";
    private static final String EVERYONE = "";
    private static final long DAY_MS = 86_400_000;
    private static final byte[] NO_SUMS = new byte[0];

    private final Output output;
    private final SumsWriter difference = new SumsWriter();
    private final Contribution before = new Contribution();
    private final Contribution after = new Contribution();
    private byte[][] sums = new byte[8][];

    SlotRows(Output output) {
        this.output = output;
    }

    /** One metric's totals changed and nothing else did. */
    void totalsChanged(Place place, int metric, Contribution old, Contribution now, long appendTimeMs) {
        byte[] change = difference(old, now);
        if (change.length == 0) {
            return;
        }
        for (int dimension = -1; dimension < place.definition.dimensionCount(); dimension++) {
            if (isIn(place, dimension)) {
                send(place, place.definition.metric(metric).id(), dimension, 0, change, appendTimeMs);
            }
        }
    }

    /** The unit came into the experiment. */
    void entered(Place place, long appendTimeMs) {
        prepareSums(null, place);
        for (int dimension = -1; dimension < place.definition.dimensionCount(); dimension++) {
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
                && from.unitClass().equals(to.unitClass());
        int dimensions = comparable ? from.definition.dimensionCount() : -1;
        prepareSums(comparable ? from : null, comparable ? to : null);
        for (int dimension = -1; dimension < dimensions; dimension++) {
            if (stays(from, to, dimension)) {
                sendAll(to, dimension, 0, appendTimeMs);
            }
        }
        prepareSums(from, null);
        for (int dimension = -1; dimension < from.definition.dimensionCount(); dimension++) {
            if (isIn(from, dimension) && !(comparable && stays(from, to, dimension))) {
                sendAll(from, dimension, -1, appendTimeMs);
            }
        }
        prepareSums(null, to);
        for (int dimension = -1; dimension < to.definition.dimensionCount(); dimension++) {
            if (isIn(to, dimension) && !(comparable && stays(from, to, dimension))) {
                sendAll(to, dimension, 1, appendTimeMs);
            }
        }
    }

    /** Whether both are in the same slot of a dimension; -1 is everyone. */
    private static boolean stays(Place from, Place to, int dimension) {
        return isIn(from, dimension)
                && isIn(to, dimension)
                && (dimension < 0 || from.values[dimension] == to.values[dimension])
                && cohort(from, dimension) == cohort(to, dimension);
    }

    private static boolean isIn(Place place, int dimension) {
        return dimension < 0 || place.values[dimension] != Definition.ABSENT;
    }

    private static long cohort(Place place, int dimension) {
        long width = dimension < 0 ? place.definition.cohortMs() : DAY_MS;
        return Math.floorDiv(place.assignedAtMs, width) * width;
    }

    /** Forms, for every metric, what {@code to} adds minus what {@code from} adds; null adds nothing. */
    private void prepareSums(Place from, Place to) {
        Place either = to == null ? from : to;
        int metrics = either == null ? 0 : either.definition.metricCount();
        if (sums.length < metrics) {
            sums = new byte[metrics][];
        }
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
            sums[metric] = difference(before, after);
        }
    }

    private byte[] difference(Contribution old, Contribution now) {
        if (old.equalTo(now)) {
            return NO_SUMS;
        }
        now.writeMinus(old, difference);
        return difference.finish();
    }

    private void sendAll(Place place, int dimension, long n, long appendTimeMs) {
        if (n != 0) {
            send(place, EXPOSURE, dimension, n, NO_SUMS, appendTimeMs);
        }
        for (int metric = 0; metric < place.definition.metricCount(); metric++) {
            if (sums[metric].length != 0) {
                send(place, place.definition.metric(metric).id(), dimension, 0, sums[metric], appendTimeMs);
            }
        }
    }

    private void send(Place place, String metricId, int dimension, long n, byte[] change, long appendTimeMs) {
        Definition definition = place.definition;
        String segment = dimension < 0 ? EVERYONE : definition.segment(dimension, place.values[dimension]);
        output.delta(
                SLOT,
                definition.experimentId(),
                definition.configVersion(),
                place.variantId(),
                metricId,
                segment,
                cohort(place, dimension),
                place.unitClass(),
                n,
                change,
                appendTimeMs);
    }
}

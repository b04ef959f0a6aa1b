package io.livelift.attribution;

/**
 * The series of one definition, each made when it is first asked for and always the same instance afterwards. Several
 * threads may ask; two that ask for the first time at once may get twins.
 */
final class DefinitionSeries {
    /** The place of a metric, for exposures. */
    static final int EXPOSURE = -1;

    /** The dimension of the slots that hold everyone. */
    static final int EVERYONE = -1;

    private static final String NONE = "";

    private final Definition definition;
    private final int[] firstOfDimension;
    private final int segments;
    private final Series[][] slots;
    private final Series[] activity;

    DefinitionSeries(Definition definition) {
        this.definition = definition;
        firstOfDimension = new int[definition.dimensionCount()];
        int count = 1;
        for (int dimension = 0; dimension < firstOfDimension.length; dimension++) {
            firstOfDimension[dimension] = count;
            count += definition.valueCount(dimension);
        }
        segments = count;
        slots = new Series[definition.variantCount() * UnitClass.ALL.length][];
        activity = new Series[definition.variantCount() * withExposure()];
    }

    /** @param value the value's ordinal; of no meaning for everyone */
    Series slot(int variant, int unitClass, int metric, int dimension, int value) {
        int of = variant * UnitClass.ALL.length + unitClass;
        Series[] some = slots[of];
        if (some == null) {
            some = new Series[withExposure() * segments];
            slots[of] = some;
        }
        int at = (metric + 1) * segments + (dimension == EVERYONE ? 0 : firstOfDimension[dimension] + value);
        Series found = some[at];
        if (found == null) {
            String segment = dimension == EVERYONE ? NONE : definition.segment(dimension, value);
            found = series("slot", variant, metric, segment, UnitClass.ALL[unitClass]);
            some[at] = found;
        }
        return found;
    }

    Series activity(int variant, int metric) {
        int at = variant * withExposure() + metric + 1;
        Series found = activity[at];
        if (found == null) {
            found = series("activity", variant, metric, NONE, NONE);
            activity[at] = found;
        }
        return found;
    }

    private int withExposure() {
        return definition.metricCount() + 1;
    }

    private Series series(String kind, int variant, int metric, String segment, String unitClass) {
        return new Series(
                kind,
                definition.tenantId(),
                definition.experimentId(),
                definition.configVersion(),
                definition.variant(variant),
                metric == EXPOSURE ? NONE : definition.metric(metric).id(),
                segment,
                unitClass);
    }
}

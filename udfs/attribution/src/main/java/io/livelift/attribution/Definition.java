package io.livelift.attribution;

import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * One version of an experiment, as far as attribution needs it; immutable.
 *
 * <p>Variants, metrics, dimensions and their values have ordinals, by which the units' states name them. They follow
 * the sorted ids and so depend on the definition's content alone.
 */
public final class Definition {
    /** Value ordinal of a dimension that the attributes lack: no slot. */
    static final int ABSENT = -1;

    /** The {@code endedAtMs} of a version that ends nothing. */
    public static final long NEVER = Long.MAX_VALUE;

    private final String tenantId;
    private final String experimentId;
    private final int configVersion;
    private final long appendTimeMs;
    private final long cohortMs;
    private final long prePeriodMs;
    private final long endedAtMs;
    private final long longestWindowMs;
    private final Utf8[] variants;
    private final Metric[] metrics;
    private final Utf8[] dimensions;
    private final Utf8[][] values;
    private final String[][] segments;
    private final DefinitionSeries series;

    /**
     * @param segments listed values by dimension
     * @param prePeriodMs 0 for no covariate
     * @param endedAtMs from when on this version ends the experiment; {@link #NEVER} for a version that ends nothing
     * @param appendTimeMs the definition's Kafka timestamp
     */
    public Definition(
            String tenantId,
            String experimentId,
            int configVersion,
            long cohortMs,
            long prePeriodMs,
            List<String> variants,
            Map<String, List<String>> segments,
            List<Metric> metrics,
            long endedAtMs,
            long appendTimeMs) {
        this.tenantId = tenantId;
        this.experimentId = experimentId;
        this.configVersion = configVersion;
        this.appendTimeMs = appendTimeMs;
        this.cohortMs = cohortMs;
        this.prePeriodMs = prePeriodMs;
        this.endedAtMs = endedAtMs;
        this.longestWindowMs = longestWindowMs(metrics);
        this.variants = sorted(variants);
        this.metrics = metrics.toArray(new Metric[0]);
        Arrays.sort(this.metrics, (a, b) -> a.id().compareTo(b.id()));
        this.dimensions = sorted(List.copyOf(segments.keySet()));
        this.values = new Utf8[dimensions.length][];
        this.segments = new String[dimensions.length][];
        for (int i = 0; i < dimensions.length; i++) {
            values[i] = sorted(segments.get(dimensions[i].toString()));
            this.segments[i] = new String[values[i].length + 1];
            for (int j = 0; j < values[i].length; j++) {
                this.segments[i][j] = dimensions[i] + "=" + values[i][j];
            }
            this.segments[i][values[i].length] = dimensions[i] + "=__other__";
        }
        this.series = new DefinitionSeries(this);
    }

    private static long longestWindowMs(List<Metric> metrics) {
        return metrics.stream()
                .mapToLong(Metric::windowEndMs)
                .filter(end -> end != Long.MAX_VALUE)
                .max()
                .orElse(0);
    }

    private static Utf8[] sorted(List<String> strings) {
        return strings.stream().sorted().map(Utf8::new).toArray(Utf8[]::new);
    }

    public String tenantId() {
        return tenantId;
    }

    public String experimentId() {
        return experimentId;
    }

    public int configVersion() {
        return configVersion;
    }

    public long appendTimeMs() {
        return appendTimeMs;
    }

    /** Width of the cohorts of segment ''. */
    public long cohortMs() {
        return cohortMs;
    }

    /** Length of the time before the exposure that x and e are taken from; 0 for no covariate. */
    public long prePeriodMs() {
        return prePeriodMs;
    }

    /** The version's {@code ended_at}, or {@link #NEVER}. */
    public long endedAtMs() {
        return endedAtMs;
    }

    /** The latest end of a metric's window after the exposure; metrics without an end do not count. */
    long longestWindowMs() {
        return longestWindowMs;
    }

    int variantCount() {
        return variants.length;
    }

    public String variant(int ordinal) {
        return variants[ordinal].toString();
    }

    /** The ordinal of the variant a slice names, or -1. */
    int variantOrdinal(Slice variantId) {
        return ordinal(variants, variantId);
    }

    public int metricCount() {
        return metrics.length;
    }

    public Metric metric(int ordinal) {
        return metrics[ordinal];
    }

    public int dimensionCount() {
        return dimensions.length;
    }

    /** The dimension a slice names, or -1. */
    int dimensionOrdinal(Slice name) {
        return ordinal(dimensions, name);
    }

    /** The ordinal of a value of a dimension; that of {@code __other__} for one that is not listed. */
    int valueOrdinal(int dimension, Slice value) {
        int listed = ordinal(values[dimension], value);
        return listed < 0 ? values[dimension].length : listed;
    }

    /** How many values of a dimension have slots of their own, {@code __other__} among them. */
    int valueCount(int dimension) {
        return segments[dimension].length;
    }

    /** {@code dimension=value}. */
    String segment(int dimension, int valueOrdinal) {
        return segments[dimension][valueOrdinal];
    }

    DefinitionSeries series() {
        return series;
    }

    private static int ordinal(Utf8[] among, Slice wanted) {
        for (int i = 0; i < among.length; i++) {
            if (among[i].matches(wanted)) {
                return i;
            }
        }
        return -1;
    }

    @Override
    public String toString() {
        return tenantId + "/" + experimentId + "/" + configVersion;
    }
}

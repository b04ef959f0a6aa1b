package io.livelift.attribution;

/**
 * What one metric of a definition counts.
 *
 * @param source the outcome's metric_id it is fed by
 * @param capMicros a unit's y and x are cut at this and at its negative; {@link Long#MAX_VALUE} without a cap
 * @param windowStartMs start of the window after the exposure
 * @param windowEndMs end of the window after the exposure, exclusive; {@link Long#MAX_VALUE} without an end
 */
public record Metric(String id, Utf8 source, Kind kind, long capMicros, long windowStartMs, long windowEndMs) {
    /** How outcomes become a unit's y and d. */
    public enum Kind {
        /** y = sum of values, d = number of outcomes. */
        MEAN,
        /** y = 1 if there is an outcome, d = number of outcomes; no cap. */
        PROPORTION,
        /** y = sum of values, d = sum of weights. */
        RATIO
    }
}

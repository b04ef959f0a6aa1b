package io.livelift.attribution;

/**
 * The settings that attribution depends on; equal rules and equal records give equal slots.
 *
 * @param horizonMs how long after its event time a record may be appended, and a definition after an assignment
 * @param futureMs how far before its event time a record may be appended
 * @param retentionMs how long an outcome waits for its exposure, in append time
 * @param maxSkewMs how far, in append time, one topic may be read behind another without a unit's memory having been
 *     dropped too early; slots do not depend on it while that holds
 * @param region the region that processes the units; part of the slot key, added by the caller of the engine
 */
public record Rules(long horizonMs, long futureMs, long retentionMs, long maxSkewMs, String region) {
    public Rules {
        if (horizonMs < 0 || futureMs < 0 || retentionMs < 0 || maxSkewMs < 0) {
            throw new IllegalArgumentException("horizon, future, retention and skew must not be negative: " + horizonMs
                    + ", " + futureMs + ", " + retentionMs + ", " + maxSkewMs);
        }
    }
}

package io.livelift.attribution;

/**
 * What changes that are added up have in common, but for the time: with a cohort it is the key of one row of sums.
 *
 * <p>{@code slot}: everything is filled in, {@code metricId} empty for the exposure slot, {@code segment} empty for
 * everyone, else {@code dimension=value}. {@code ledger}: {@code metricId} is a topic; experiment, version, variant,
 * segment and class are empty. {@code activity}: segment and class are empty, {@code metricId} for exposures too.
 *
 * <p>The engine passes the same instance for the same series nearly always (not when a definition was read twice), so
 * that who adds up may go by identity.
 *
 * @param kind {@code slot}, {@code ledger} or {@code activity}
 * @param unitClass {@code clean}, {@code crossed} or {@code bot}
 */
public record Series(
        String kind,
        String tenantId,
        String experimentId,
        int configVersion,
        String variantId,
        String metricId,
        String segment,
        String unitClass) {}

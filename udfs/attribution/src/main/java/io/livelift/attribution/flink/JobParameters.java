package io.livelift.attribution.flink;

import io.livelift.attribution.Rules;
import java.util.function.UnaryOperator;

/**
 * What the job is told about where it runs and by which settings. It comes as job parameters and not as arguments in
 * SQL, so that the compiled plan is the same in every environment and lane.
 *
 * @param epoch the rebuild epoch of everything the job writes
 * @param tenantId the tenant whose topics alone are read; empty for everyone
 * @param experimentId the experiment that alone is written; empty for all
 * @param rejectedPercentLimit a tenant's share of refused records above which it is reported
 */
record JobParameters(
        String bootstrap,
        String definitionsTopic,
        String slotsTopic,
        String countsTopic,
        String registryUrl,
        int epoch,
        String tenantId,
        String experimentId,
        int rejectedPercentLimit,
        Rules rules) {
    static final String PREFIX = "livelift.";

    /**
     * @param parameters gives null for one that was not set
     * @throws IllegalStateException naming the parameter that is missing or is no number
     */
    static JobParameters of(UnaryOperator<String> parameters) {
        return new JobParameters(
                text(parameters, "bootstrap"),
                text(parameters, "definitions_topic"),
                text(parameters, "slots_topic"),
                text(parameters, "counts_topic"),
                text(parameters, "registry_url"),
                (int) number(parameters, "epoch"),
                text(parameters, "tenant"),
                text(parameters, "experiment"),
                (int) number(parameters, "rejected_percent_limit"),
                new Rules(
                        number(parameters, "horizon_ms"),
                        number(parameters, "future_ms"),
                        number(parameters, "retention_ms"),
                        number(parameters, "max_skew_ms"),
                        text(parameters, "region")));
    }

    private static String text(UnaryOperator<String> parameters, String name) {
        String text = parameters.apply(PREFIX + name);
        if (text == null) {
            throw new IllegalStateException("job parameter " + PREFIX + name + " is missing");
        }
        return text;
    }

    private static long number(UnaryOperator<String> parameters, String name) {
        String text = text(parameters, name);
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new IllegalStateException("job parameter " + PREFIX + name + " is not a whole number: " + text, e);
        }
    }
}

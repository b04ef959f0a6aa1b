package io.livelift.attribution.flink;

import io.livelift.attribution.Rules;
import org.apache.flink.table.functions.FunctionContext;

/**
 * What the functions are told about where they run and by which settings. It comes as job parameters and not as
 * arguments in SQL, so that the compiled plan is the same in every environment and lane.
 *
 * @param epoch the rebuild epoch of everything the job writes
 * @param experimentId the experiment that alone is written; empty for all
 * @param rejectedPercentLimit a tenant's share of refused records above which it is reported
 */
record JobParameters(
        String bootstrap,
        String definitionsTopic,
        String registryUrl,
        int epoch,
        String experimentId,
        int rejectedPercentLimit,
        Rules rules) {
    static final String PREFIX = "livelift.";

    /** @throws IllegalStateException naming the parameter that is missing or is no number */
    static JobParameters of(FunctionContext context) {
        return new JobParameters(
                text(context, "bootstrap"),
                text(context, "definitions_topic"),
                text(context, "registry_url"),
                (int) number(context, "epoch"),
                text(context, "experiment"),
                (int) number(context, "rejected_percent_limit"),
                new Rules(
                        number(context, "horizon_ms"),
                        number(context, "future_ms"),
                        number(context, "retention_ms"),
                        number(context, "max_skew_ms"),
                        text(context, "region")));
    }

    private static String text(FunctionContext context, String name) {
        String text = context.getJobParameter(PREFIX + name, null);
        if (text == null) {
            throw new IllegalStateException("job parameter " + PREFIX + name + " is missing");
        }
        return text;
    }

    private static long number(FunctionContext context, String name) {
        String text = text(context, name);
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new IllegalStateException("job parameter " + PREFIX + name + " is not a whole number: " + text, e);
        }
    }
}

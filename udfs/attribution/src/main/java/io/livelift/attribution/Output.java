package io.livelift.attribution;

/** Where the engine puts what it decided, during the call that decided it. */
public interface Output {
    /**
     * One delta row: to be added to the slot its key columns name. Tenant and region are the caller's.
     *
     * <p>The strings come from the definition or, in the ledger, from the record, so the same key usually comes with
     * the same instances. Rows that would change nothing are not sent.
     *
     * <p>A {@code ledger} row adds to a topic's minute of append time: {@code metricId} is the topic, {@code cohortMs}
     * the minute, {@code n} records received, {@code sums} what became of them as {@link Ledger} has it; the other
     * keys are empty. An {@code activity} row adds to an experiment's minute of event time: {@code n} exposures
     * ({@code metricId} empty) or outcomes, and in the first sum the outcomes' values in micro-units; segment and class
     * are empty.
     *
     * @param kind {@code slot}, {@code ledger} or {@code activity}
     * @param metricId empty for the exposure slot, which carries {@code n}; metric slots carry sums and n = 0
     * @param segment empty for everyone, else {@code dimension=value}
     * @param cohortMs start of the cohort, epoch milliseconds
     * @param unitClass {@code clean}, {@code crossed} or {@code bot}
     * @param n change of the number of units
     * @param sums change of the fourteen sums in the form of {@link SumDelta}; empty for all zero; not to be modified
     * @param appendTimeMs append time of the record that caused the change
     */
    void delta(
            String kind,
            String experimentId,
            int configVersion,
            String variantId,
            String metricId,
            String segment,
            long cohortMs,
            String unitClass,
            long n,
            byte[] sums,
            long appendTimeMs);

    /**
     * One refused record. A record that was waiting comes back as it was received, in an instance of the engine's.
     *
     * @param detail what was wrong, for people; may be empty
     */
    void rejected(Reason reason, String detail, LogRecord record);
}

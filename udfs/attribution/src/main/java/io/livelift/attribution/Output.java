package io.livelift.attribution;

/** Where the engine puts what it decided, during the call that decided it. */
public interface Output {
    /**
     * One change: to be added to the row of sums that a series has for a cohort. Region and epoch are the caller's.
     *
     * <p>A {@code ledger} change adds to a topic's minute of append time: {@code n} records received, {@code sums} what
     * became of them as {@link Ledger} has it. An {@code activity} change adds to an experiment's minute of event time:
     * {@code n} exposures or outcomes, and in the first sum the outcomes' values in micro-units. Changes of nothing are
     * not sent.
     *
     * @param cohortMs start of the cohort or the minute, epoch milliseconds
     * @param n change of the number of units; metric slots carry sums and n = 0
     * @param sums change of the fourteen sums, all zero for exposures; to be read during the call, the engine uses it again
     * @param appendTimeMs append time of the record that caused the change
     */
    void delta(Series series, long cohortMs, long n, SumDelta sums, long appendTimeMs);

    /**
     * One refused record. A record that was waiting comes back as it was received, in an instance of the engine's.
     *
     * @param detail what was wrong, for people; may be empty
     */
    void rejected(Reason reason, String detail, LogRecord record);
}

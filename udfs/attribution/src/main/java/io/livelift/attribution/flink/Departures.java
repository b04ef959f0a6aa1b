package io.livelift.attribution.flink;

/**
 * When what has changed may be told: at once while there is little, in the order of coming and no faster than a rate when
 * there is much, and never later than the most, however much there is.
 */
final class Departures {
    private final double gapMs;
    private final long burstMs;
    private final long mostMs;
    private double nextMs;

    /**
     * @param rate of departures a second
     * @param burstMs what was not used of the rate may be used later, that of so long at most
     * @param mostMs how long a departure may be put off
     */
    Departures(int rate, long burstMs, long mostMs) {
        this.gapMs = 1000.0 / rate;
        this.burstMs = burstMs;
        this.mostMs = mostMs;
    }

    /** There are some already, up to a moment. */
    void after(long timeMs) {
        nextMs = Math.max(nextMs, timeMs);
    }

    /** The next departure's moment; not in the future if it is now. */
    long next(long nowMs) {
        nextMs = Math.min(Math.max(nextMs + gapMs, nowMs - burstMs), nowMs + mostMs);
        return (long) nextMs;
    }
}

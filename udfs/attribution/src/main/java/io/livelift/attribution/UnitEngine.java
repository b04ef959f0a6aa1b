package io.livelift.attribution;

/**
 * The attribution rules of one unit: records in, delta rows out, with the unit's memory as one compact {@code byte[]}.
 *
 * <p>The sum of all rows sent for a unit is a function of the set of its records and of the definitions; the order in
 * which the engine sees assignments, outcomes and definitions does not matter, except that records of one type must come
 * in the order of their log. Not thread-safe; one instance serves any number of units, one call at a time.
 */
public final class UnitEngine {
    /**
     * @param output called during {@link #onRecord} and {@link #onTimer} only
     */
    public UnitEngine(Rules rules, DefinitionBook definitions, EventDecoder decoder, Output output) {}

    /**
     * Applies one record.
     *
     * @param state what the last call for this unit returned, null at the beginning; never modified
     * @return the unit's new state; the same array if nothing changed; null if nothing is to be kept
     * @throws IllegalStateException if the state was written by a later version of the engine or is damaged, or if a
     *     definition that the unit was counted under is no longer in the book
     */
    public byte[] onRecord(byte[] state, LogRecord record) {
        return state;
    }

    /**
     * Looks again at what waits, now that append time has reached {@code nowMs}. Harmless at any time.
     *
     * @return and fails as {@link #onRecord}
     */
    public byte[] onTimer(byte[] state, String tenantId, byte[] unitKey, long nowMs) {
        return state;
    }

    /**
     * After either call: the append time at which this unit must be woken, {@link Long#MAX_VALUE} for never. Between two
     * wakings it stays the same, so that setting it again and again sets one timer.
     */
    public long wakeAtMs() {
        return Long.MAX_VALUE;
    }
}

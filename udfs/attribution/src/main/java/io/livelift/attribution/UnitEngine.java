package io.livelift.attribution;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * The attribution rules of one unit: records in, delta rows out, with the unit's memory as one compact {@code byte[]}.
 *
 * <p>The sum of all rows sent for a unit is a function of the set of its records and of the definitions; the order in
 * which the engine sees assignments, outcomes and definitions does not matter, except that records of one type must
 * come in the order of their log. Here records are accepted, refused or made to wait; what accepted ones count is
 * decided by {@link Places}. Not thread-safe; one instance serves any number of units, one call at a time.
 */
public final class UnitEngine {
    private static final long NOT_BY_TIME = Long.MIN_VALUE;
    private static final double MICROS = 1e6;

    private final Rules rules;
    private final DefinitionCache definitions;
    private final EventDecoder decoder;
    private final Output output;
    private final RecordChecks checks;
    private final UnitState unit = new UnitState();
    private final Places places;
    private final Event event = new Event();
    private final StoredOutcome outcome = new StoredOutcome();

    /** Event ids of the unit's assignments that still wait. */
    private final Set<String> waitingIds = new HashSet<>();

    private long wakeAtMs = Long.MAX_VALUE;

    /**
     * @param output called during {@link #onRecord} and {@link #onTimer} only
     */
    public UnitEngine(Rules rules, DefinitionBook definitions, EventDecoder decoder, Output output) {
        this.rules = rules;
        this.definitions = new DefinitionCache(definitions);
        this.decoder = decoder;
        this.output = output;
        this.checks = new RecordChecks(rules);
        this.places = new Places(unit, this.definitions, rules, new SlotRows(output));
    }

    /**
     * Applies one record.
     *
     * @param state what the last call for this unit returned, null at the beginning; never modified
     * @param pages the unit's own
     * @return the unit's new state; the same array if nothing changed; null if nothing is to be kept
     * @throws IllegalStateException if the state was written by a later version of the engine or is damaged, or if a
     *     definition that the unit was counted under is no longer in the book
     */
    public byte[] onRecord(byte[] state, Pages pages, LogRecord record) {
        unit.load(state, record.appendTimeMs);
        decideWaiting(record.tenantId, record.key, NOT_BY_TIME);
        if (passesChecks(record)) {
            if (record.kind == EventKind.OUTCOME) {
                decideOutcome(record);
            } else if (isBehindWaiting() || !decideAssignment(record, NOT_BY_TIME)) {
                WaitingRecords.write(record, unit.waiting.added);
                unit.markChanged();
            }
        }
        return finish(record.appendTimeMs);
    }

    /**
     * Looks again at what waits, now that append time has reached {@code nowMs}. Harmless at any time.
     *
     * @return and fails as {@link #onRecord}
     */
    public byte[] onTimer(byte[] state, Pages pages, String tenantId, byte[] unitKey, long nowMs) {
        unit.load(state, nowMs);
        decideWaiting(tenantId, unitKey, nowMs);
        return finish(nowMs);
    }

    /**
     * After either call: the append time at which this unit must be woken, {@link Long#MAX_VALUE} for never. Between
     * two wakings it stays the same, so that setting it again and again sets one timer.
     */
    public long wakeAtMs() {
        return wakeAtMs;
    }

    private byte[] finish(long nowMs) {
        byte[] state = unit.store();
        wakeAtMs = Long.MAX_VALUE;
        if (!unit.waiting.isEmpty()) {
            unit.load(state, nowMs);
            wakeAtMs = WaitingRecords.wakeAtMs(unit.waiting, nowMs, rules.horizonMs());
        }
        return state;
    }

    private boolean passesChecks(LogRecord record) {
        try {
            decoder.decode(record.kind, record.value, event);
        } catch (Unreadable e) {
            output.rejected(Reason.UNREADABLE, e.getMessage(), record);
            return false;
        }
        Reason refused = checks.check(record, event);
        if (refused != null) {
            output.rejected(refused, checks.detail(), record);
        }
        return refused == null;
    }

    private void decideOutcome(LogRecord record) {
        long id = Hash64.of(event.eventId);
        if (unit.hasOutcomeId(id)) {
            output.rejected(Reason.DUPLICATE, "", record);
            return;
        }
        outcome.source = unit.internSource(event.metricId);
        outcome.occurredAtMs = event.timeMs;
        outcome.appendTimeMs = record.appendTimeMs;
        outcome.valueMicros = (long) Math.rint(event.value * MICROS);
        outcome.weightMicros = (long) Math.rint(event.weight * MICROS);
        unit.addOutcome(id, outcome);
        places.count(record.tenantId, event.metricId, outcome);
    }

    /**
     * Accepts or refuses an assignment that passed the checks, or returns false if it must wait for its definition.
     *
     * <p>Its id is taken if it is accepted, or if it had to wait when it was appended, whatever became of it then: so
     * the answer follows from append times and not from when the definition was seen here.
     */
    private boolean decideAssignment(LogRecord record, long nowMs) {
        long id = Hash64.of(event.eventId);
        if (unit.hasAssignmentId(id)) {
            output.rejected(Reason.DUPLICATE, "", record);
            return true;
        }
        Definition definition = definitions.find(record.tenantId, event.experimentId, event.configVersion);
        boolean mayStillCome = definition == null && nowMs <= record.appendTimeMs + rules.horizonMs();
        if (mayStillCome) {
            return false;
        }
        boolean inTime = definition != null && definition.appendTimeMs() - record.appendTimeMs <= rules.horizonMs();
        int variant = inTime ? definition.variantOrdinal(event.variantId) : -1;
        boolean waited = definition == null || definition.appendTimeMs() > record.appendTimeMs;
        if (variant >= 0 || waited) {
            unit.addAssignmentId(id, record.appendTimeMs);
        }
        if (variant >= 0) {
            places.assign(definition, variant, event, record.appendTimeMs);
        } else if (inTime) {
            output.rejected(Reason.UNKNOWN_VARIANT, event.variantId.toString(), record);
        } else {
            output.rejected(Reason.UNKNOWN_DEFINITION, event.experimentId + "/" + event.configVersion, record);
        }
        return true;
    }

    /** Decides what can be decided of the assignments that wait; one behind a waiting one of the same id waits on. */
    private void decideWaiting(String tenantId, byte[] unitKey, long nowMs) {
        waitingIds.clear();
        if (unit.waiting.isEmpty()) {
            return;
        }
        List<LogRecord> waiting = WaitingRecords.read(unit.waiting, tenantId, unitKey);
        List<LogRecord> undecided = new ArrayList<>();
        for (LogRecord record : waiting) {
            decodeAgain(record);
            if (isBehindWaiting() || !decideAssignment(record, nowMs)) {
                undecided.add(record);
                waitingIds.add(event.eventId.toString());
            } else {
                unit.load(unit.store(), record.appendTimeMs);
            }
        }
        if (undecided.size() < waiting.size()) {
            unit.waiting.dropOld();
            undecided.forEach(record -> WaitingRecords.write(record, unit.waiting.added));
            unit.markChanged();
            unit.load(unit.store(), nowMs);
        }
    }

    private boolean isBehindWaiting() {
        return !waitingIds.isEmpty() && waitingIds.contains(event.eventId.toString());
    }

    private void decodeAgain(LogRecord record) {
        try {
            decoder.decode(record.kind, record.value, event);
        } catch (Unreadable e) {
            throw new IllegalStateException("a waiting record (" + record.topic + ", partition " + record.partition
                    + ", offset " + record.offset + ") was readable and is not any more: " + e.getMessage());
        }
    }
}

package io.livelift.attribution;

import java.nio.charset.StandardCharsets;

/**
 * The attribution rules of one unit: records in, changes out, with the unit's memory as one compact {@code byte[]}
 * and, for the few that do very much, pages.
 *
 * <p>The sum of all rows sent for a unit is a function of the set of its records and of the definitions; the order in
 * which the engine sees assignments, outcomes and definitions does not matter, nor when it is woken, except that
 * records of one type must come in the order of their log. Here records are accepted, refused or made to wait, and
 * what can matter no more is forgotten; what accepted ones count is decided by {@link Places}. Not thread-safe; one
 * instance serves any number of units, one call at a time.
 *
 * <p>Forgetting is safe as long as no record arrives that was appended more than {@link Rules#maxSkewMs()} before the
 * time that {@link #onTimer} was told.
 */
public final class UnitEngine {
    private static final double MICROS = 1e6;

    private final Rules rules;
    private final DefinitionBook book;
    private final DefinitionCache definitions;
    private final EventDecoder decoder;
    private final Output output;
    private final RecordChecks checks;
    private final Ledger ledger;
    private final Places places;
    private final UnitState unit = new UnitState();
    private final Event event = new Event();
    private final StoredOutcome outcome = new StoredOutcome();
    private final Entry.OfAssignment assignment = new Entry.OfAssignment();

    /** The topic of outcomes that are not from their home topic, and its bytes. */
    private String foreignTopic = "";

    private final Slice foreignBytes = new Slice();
    private static final Slice HOME = new Slice();

    /** The variant of the assignment that was last found good. */
    private int variant;

    private long wokenAtMs = Long.MAX_VALUE;
    private long wakeAtMs = Long.MAX_VALUE;

    /**
     * @param output called during {@link #onRecord} and {@link #onTimer} only
     */
    public UnitEngine(Rules rules, DefinitionBook definitions, EventDecoder decoder, Output output) {
        this.rules = rules;
        this.book = definitions;
        this.definitions = new DefinitionCache(definitions);
        this.decoder = decoder;
        this.output = output;
        this.checks = new RecordChecks(rules);
        this.ledger = new Ledger(output);
        this.places = new Places(
                unit,
                this.definitions,
                rules,
                new SlotRows(output),
                new ActivityRows(output),
                ledger,
                new HomeTopics());
    }

    /**
     * Applies one record.
     *
     * @param state what the last call for this unit returned, null at the beginning; never modified
     * @param pages the unit's own
     * @return the unit's new state; the same array if nothing changed; null if nothing is to be kept
     * @throws IllegalStateException if the state has another layout than this engine's or is damaged, or if a
     *     definition that the unit was counted under is no longer in the book
     */
    public byte[] onRecord(byte[] state, Pages pages, LogRecord record) {
        return onRecord(state, lengthOf(state), pages, record);
    }

    /** The same for a state that is the first {@code length} bytes of an array. */
    public byte[] onRecord(byte[] state, int length, Pages pages, LogRecord record) {
        book.catchUp(record.appendTimeMs - Endings.EFFECT_MS);
        load(state, length, pages, record.appendTimeMs);
        if (passesChecks(record)) {
            if (record.kind == EventKind.OUTCOME) {
                takeOutcome(record);
            } else {
                takeAssignment(record);
            }
        }
        return finish();
    }

    /**
     * Does what is due now that append time has reached {@code nowMs}: looks for definitions that assignments wait for,
     * gives up outcomes that nobody counted, forgets what can matter no more. Harmless at any time.
     *
     * @return and fails as {@link #onRecord}
     */
    public byte[] onTimer(byte[] state, Pages pages, String tenantId, byte[] unitKey, long nowMs) {
        return onTimer(state, lengthOf(state), pages, tenantId, unitKey, nowMs);
    }

    /** The same for a state that is the first {@code length} bytes of an array. */
    public byte[] onTimer(byte[] state, int length, Pages pages, String tenantId, byte[] unitKey, long nowMs) {
        book.catchUp(nowMs);
        load(state, length, pages, nowMs);
        if (nowMs >= unit.waiting.lookAtMs) {
            unit.waiting.look(
                    tenantId, unitKey, nowMs, rules.horizonMs(), book.size(), record -> decideWaiting(record, nowMs));
            unit.reload();
        }
        if (nowMs >= unit.lookAtMs()) {
            lookAtAll(tenantId, nowMs);
        }
        return finish();
    }

    /**
     * After either call: the append time at which this unit must be woken, {@link Long#MAX_VALUE} for never, which is
     * for units without a state only. Between two wakings it stays the same unless it must be earlier, so that setting
     * it again and again sets one timer.
     */
    public long wakeAtMs() {
        return wakeAtMs;
    }

    /** After either call: what {@link #wakeAtMs} was for the state that came in. */
    public long wokenAtMs() {
        return wokenAtMs;
    }

    private static int lengthOf(byte[] state) {
        return state == null ? 0 : state.length;
    }

    private void load(byte[] state, int length, Pages pages, long nowMs) {
        unit.load(state, length, pages, nowMs, nextLookMs(nowMs));
        wokenAtMs = state == null ? Long.MAX_VALUE : Math.min(unit.lookAtMs(), unit.waiting.lookAtMs);
    }

    private byte[] finish() {
        byte[] state = unit.store();
        wakeAtMs = state == null ? Long.MAX_VALUE : Math.min(unit.lookAtMs(), unit.waiting.lookAtMs);
        return state;
    }

    // ---- one record

    private boolean passesChecks(LogRecord record) {
        try {
            decoder.decode(record.kind, record.value, event);
        } catch (Unreadable e) {
            refuse(Reason.UNREADABLE, e.getMessage(), record);
            return false;
        }
        Reason refused = checks.check(record, event);
        if (refused != null) {
            refuse(refused, checks.detail(), record);
        }
        return refused == null;
    }

    private void refuse(Reason reason, String detail, LogRecord record) {
        output.rejected(reason, detail, record);
        ledger.received(record, Ledger.column(reason), 0);
    }

    /** An id is taken for so long that a later record of the same event is too late anyway. */
    private long idsTakenSinceMs(long appendTimeMs) {
        return appendTimeMs - rules.horizonMs() - rules.futureMs();
    }

    private void takeOutcome(LogRecord record) {
        long id = Hash64.of(event.eventId);
        if (unit.outcomes.isTaken(id, idsTakenSinceMs(record.appendTimeMs))) {
            refuse(Reason.DUPLICATE, "", record);
            return;
        }
        if (unit.sources.name(outcome, event.metricId, topicBytes(record))) {
            unit.markChanged();
        }
        outcome.occurredAtMs = event.timeMs;
        outcome.appendTimeMs = record.appendTimeMs;
        outcome.valueMicros = (long) Math.rint(event.value * MICROS);
        outcome.weightMicros = (long) Math.rint(event.weight * MICROS);
        outcome.expired = false;
        places.count(record.tenantId, event.metricId, outcome);
        unit.outcomes.add(id, outcome);
        if (outcome.places == 0) {
            unit.lookBy(expiresAtMs(outcome));
        }
        ledger.received(record, outcome.column(), event.timeMs);
    }

    /** The topic's bytes, none for the tenant's own. */
    private Slice topicBytes(LogRecord record) {
        if (HomeTopics.isHome(record)) {
            return HOME;
        }
        if (!foreignTopic.equals(record.topic)) {
            foreignTopic = record.topic;
            byte[] bytes = foreignTopic.getBytes(StandardCharsets.UTF_8);
            foreignBytes.set(bytes, 0, bytes.length);
        }
        return foreignBytes;
    }

    /**
     * Accepts or refuses an assignment that passed the checks, or makes it wait for its definition.
     *
     * <p>Its id is taken at once if it is accepted, or if its definition was not yet in effect when it was appended,
     * whatever becomes of it: so the answer follows from append times and not from when the definition was seen here.
     */
    private void takeAssignment(LogRecord record) {
        long id = Hash64.of(event.eventId);
        if (unit.assignments.isTaken(id, idsTakenSinceMs(record.appendTimeMs))) {
            refuse(Reason.DUPLICATE, "", record);
            return;
        }
        int definitionsKnown = book.size(); // before it is asked: what comes in between must count as new
        DefinitionCache.Known known = definitions.find(record.tenantId, event.experimentId, event.configVersion);
        boolean waited = known == null || known.definition.appendTimeMs() + Endings.EFFECT_MS > record.appendTimeMs;
        Reason refused = known == null ? null : refusal(known, record);
        if (waited || refused == null) {
            assignment.appendTimeMs = record.appendTimeMs;
            unit.assignments.add(id, assignment);
        }
        if (refused != null) {
            refuse(refused, detail(refused), record);
        } else if (known == null) {
            unit.waiting.add(record, definitionsKnown);
            ledger.received(record, Ledger.WAITING, event.timeMs);
        } else {
            places.assign(known, variant, event, record.appendTimeMs);
            ledger.received(record, Ledger.COUNTED, event.timeMs);
        }
    }

    /** Why an assignment cannot count under its definition; null if it can, and then its {@link #variant} is set. */
    private Reason refusal(DefinitionCache.Known known, LogRecord record) {
        long definedAtMs = known.definition.appendTimeMs();
        if (definedAtMs - record.appendTimeMs > rules.horizonMs()) {
            return Reason.UNKNOWN_DEFINITION;
        }
        variant = known.definition.variantOrdinal(event.variantId);
        if (variant < 0) {
            return Reason.UNKNOWN_VARIANT;
        }
        long decidedAtMs = Math.max(record.appendTimeMs, definedAtMs + Endings.EFFECT_MS);
        if (decidedAtMs != record.appendTimeMs) {
            book.catchUp(decidedAtMs - Endings.EFFECT_MS);
        }
        return known.endings.endedBefore(event.timeMs, decidedAtMs) ? Reason.ENDED : null;
    }

    private String detail(Reason refused) {
        return switch (refused) {
            case UNKNOWN_DEFINITION -> event.experimentId + "/" + event.configVersion;
            case UNKNOWN_VARIANT -> event.variantId.toString();
            case ENDED -> event.experimentId.toString();
            default -> "";
        };
    }

    // ---- what time brings

    /** Decides an assignment that waits; false if its definition may still come. */
    private boolean decideWaiting(LogRecord record, long nowMs) {
        decodeAgain(record);
        DefinitionCache.Known known = definitions.find(record.tenantId, event.experimentId, event.configVersion);
        if (known == null && nowMs <= record.appendTimeMs + rules.horizonMs()) {
            return false;
        }
        Reason refused = known == null ? Reason.UNKNOWN_DEFINITION : refusal(known, record);
        if (refused == null) {
            places.assign(known, variant, event, record.appendTimeMs);
            unit.reload();
        } else {
            output.rejected(refused, detail(refused), record);
        }
        int column = refused == null ? Ledger.COUNTED : Ledger.column(refused);
        ledger.moved(
                record.tenantId, record.topic, record.appendTimeMs, event.timeMs, Ledger.WAITING, column, record.appendTimeMs);
        return true;
    }

    private void decodeAgain(LogRecord record) {
        try {
            decoder.decode(record.kind, record.value, event);
        } catch (Unreadable e) {
            throw new IllegalStateException("a waiting record (" + record.topic + ", partition " + record.partition
                    + ", offset " + record.offset + ") was readable and is not any more: " + e.getMessage());
        }
    }

    /** Gives up outcomes whose time has passed, forgets what nothing still to come can ask for (rule 9). */
    private void lookAtAll(String tenantId, long nowMs) {
        long earliestToComeMs = nowMs - rules.maxSkewMs();
        long idsNeededSinceMs = idsTakenSinceMs(earliestToComeMs);
        boolean waits = !unit.waiting.isEmpty();
        unit.setLookAt(nextLookMs(nowMs));
        unit.assignments.visit(
                taken -> taken.appendTimeMs < idsNeededSinceMs ? EventMemory.Verdict.DROP : EventMemory.Verdict.KEEP);
        unit.outcomes.visit(stored -> {
            boolean expires = stored.column() == Ledger.WAITING && nowMs >= expiresAtMs(stored);
            if (expires) {
                expire(tenantId, stored);
            } else if (stored.column() == Ledger.WAITING) {
                unit.lookBy(expiresAtMs(stored));
            }
            if (!waits && stored.appendTimeMs + rules.retentionMs() < idsNeededSinceMs) {
                return EventMemory.Verdict.DROP;
            }
            return expires ? EventMemory.Verdict.CHANGED : EventMemory.Verdict.KEEP;
        });
        if (!waits) {
            places.dropClosedBefore(tenantId, earliestToComeMs);
        }
        if (unit.outcomes.isEmpty()) {
            unit.sources.clear();
        }
    }

    private long expiresAtMs(StoredOutcome stored) {
        return stored.appendTimeMs + rules.retentionMs() + 1;
    }

    private void expire(String tenantId, StoredOutcome stored) {
        stored.expired = true;
        ledger.moved(
                tenantId,
                places.topicOf(tenantId, stored),
                stored.appendTimeMs,
                stored.occurredAtMs,
                Ledger.WAITING,
                Ledger.EXPIRED_UNMATCHED,
                expiresAtMs(stored));
    }

    /** So long after a moment much of what a unit has then is of no more use. */
    private long nextLookMs(long momentMs) {
        long until = rules.horizonMs() + rules.futureMs() + rules.maxSkewMs() + 1;
        return Math.min(momentMs, Long.MAX_VALUE - until) + until; // time may have come to its end
    }
}

package io.livelift.attribution;

import java.util.Arrays;

/**
 * A unit's memory as sections of one byte array. Reused: {@link #load} a state, change sections, {@link #store} it.
 * What was changed can be read only after it was stored.
 *
 * <p>Layout 1: the byte 1; the base time, to which all other times are relative; the lengths of the sections; the
 * sections. Hashes of ids are in the order of the log, so those past the horizon can be dropped from the front one day;
 * the append time of each assignment id is at the same place in its section, that of an outcome id in its outcome.
 */
final class UnitState {
    static final int LAYOUT = 1;

    /** {@link Hash64} of every assignment id that is taken, eight bytes each. */
    final Section assignmentIds = new Section();

    /** Append times of the same. */
    final Section assignmentTimes = new Section();

    /** The metric_ids of the outcomes, in the order of their ordinals: length and bytes. */
    final Section sources = new Section();

    /** {@link Place}s, one for each experiment. */
    final Section places = new Section();

    /** {@link Hash64} of every outcome id that is taken. */
    final Section outcomeIds = new Section();

    /** {@link StoredOutcome}s. */
    final Section outcomes = new Section();

    /** {@link WaitingRecords}: assignments without a definition yet. */
    final Section waiting = new Section();

    private final Section[] sections = {assignmentIds, assignmentTimes, sources, places, outcomeIds, outcomes, waiting};
    private static final byte[] NOTHING = new byte[0];

    private final ByteReader reader = new ByteReader();
    private final ByteWriter head = new ByteWriter();
    private final Slice source = new Slice();
    private byte[] loaded;
    private boolean changed;
    private long baseMs;

    /**
     * Opens a state; null is that of a unit never seen.
     *
     * @param baseMs the base time of a new state
     * @throws IllegalStateException if the layout is not known or the lengths are wrong
     */
    void load(byte[] state, long newBaseMs) {
        loaded = state;
        changed = false;
        if (state == null) {
            baseMs = newBaseMs;
            for (Section section : sections) {
                section.load(NOTHING, 0, 0);
            }
            return;
        }
        if (state.length == 0 || state[0] != LAYOUT) {
            throw new IllegalStateException("a unit's state has layout " + (state.length == 0 ? "none" : state[0])
                    + ", this engine reads " + LAYOUT);
        }
        reader.start(state, 1);
        baseMs = reader.signed();
        for (Section section : sections) {
            section.to = reader.count();
        }
        int at = reader.at;
        for (Section section : sections) {
            section.load(state, at, at + section.to);
            at = section.to;
        }
        if (at != state.length) {
            throw new IllegalStateException("a unit's state of " + state.length + " bytes should have " + at);
        }
    }

    /** The state with all changes; the very array that was loaded if there were none. */
    byte[] store() {
        if (!changed) {
            return loaded;
        }
        head.clear();
        head.u8(LAYOUT);
        head.signed(baseMs);
        int length = 0;
        for (Section section : sections) {
            head.unsigned(section.length());
            length += section.length();
        }
        byte[] state = Arrays.copyOf(head.buffer, head.length + length);
        int at = head.length;
        for (Section section : sections) {
            section.writeTo(state, at);
            at += section.length();
        }
        return state;
    }

    /** To be called with every change of a section. */
    void markChanged() {
        changed = true;
    }

    long baseMs() {
        return baseMs;
    }

    boolean hasAssignmentId(long hash) {
        return contains(assignmentIds, hash);
    }

    void addAssignmentId(long hash, long appendTimeMs) {
        assignmentIds.added.fixed64(hash);
        assignmentTimes.added.signed(appendTimeMs - baseMs);
        changed = true;
    }

    boolean hasOutcomeId(long hash) {
        return contains(outcomeIds, hash);
    }

    void addOutcome(long hash, StoredOutcome outcome) {
        outcomeIds.added.fixed64(hash);
        outcome.writeTo(outcomes.added, baseMs);
        changed = true;
    }

    private static boolean contains(Section hashes, long hash) {
        for (int at = hashes.from; at < hashes.to; at += 8) {
            if (ByteReader.fixed64(hashes.buffer, at) == hash) {
                return true;
            }
        }
        return false;
    }

    /** The ordinal of a source, which is given one if it has none. */
    int internSource(Slice metricId) {
        int ordinal = 0;
        for (reader.start(sources.buffer, sources.from); reader.at < sources.to; ordinal++) {
            reader.bytes(source, reader.count());
            if (source.equalTo(metricId)) {
                return ordinal;
            }
        }
        sources.added.unsigned(metricId.length());
        sources.added.bytes(metricId);
        changed = true;
        return ordinal;
    }

    /** The ordinal of a source, or -1 if the unit has no outcome of it. */
    int sourceOrdinal(Utf8 wanted) {
        int ordinal = 0;
        for (reader.start(sources.buffer, sources.from); reader.at < sources.to; ordinal++) {
            reader.bytes(source, reader.count());
            if (wanted.matches(source)) {
                return ordinal;
            }
        }
        return -1;
    }
}

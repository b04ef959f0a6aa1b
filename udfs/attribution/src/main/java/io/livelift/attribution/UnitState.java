package io.livelift.attribution;

import java.util.Arrays;

/**
 * A unit's memory: sections of one byte array, and pages for what is too much for it. Reused: {@link #load} a state,
 * change sections, {@link #store} it. What was changed can be read only after it was stored.
 *
 * <p>Layout 2: the byte 2; the base time, to which all other times are relative; when to look at the whole next; a byte
 * that says what of the following is there; number and fill of the pages of assignments, of outcomes; of what waits the
 * next look, append times of the oldest and newest, definitions seen, first and next page, length of the section; the
 * lengths of the other sections but the last, of hashes their number; the sections. A page's number is its place among
 * those of its kind, and in the lowest two bits the kind.
 */
final class UnitState {
    static final int LAYOUT = 2;
    static final int KIND_BITS = 2;

    private static final int ASSIGNMENTS = 0;
    private static final int OUTCOMES = 1;
    private static final int WAITING = 2;
    private static final int HASH = 8;
    private static final byte[] NOTHING = new byte[0];

    /** The ids of assignments that are taken. */
    final EventMemory<Entry.OfAssignment> assignments = new EventMemory<>(this, ASSIGNMENTS, new Entry.OfAssignment());

    /** The outcomes, and with them their ids. */
    final EventMemory<StoredOutcome> outcomes = new EventMemory<>(this, OUTCOMES, new StoredOutcome());

    /** What the outcomes' metric_ids and topics are. */
    final Sources sources = new Sources();

    /** {@link Place}s, one for each experiment. */
    final Section places = new Section();

    /** Assignments without a definition yet. */
    final WaitingRecords waiting = new WaitingRecords(this, WAITING);

    private final Section[] sections = {
        assignments.hashes,
        outcomes.hashes,
        assignments.entries,
        sources.section,
        places,
        waiting.section,
        outcomes.entries
    };

    private final ByteReader reader = new ByteReader();
    private final ByteWriter head = new ByteWriter();
    private byte[] loaded;
    private Pages pages;
    private boolean changed;
    private long baseMs;
    private long lookAtMs;

    /**
     * Opens a state; null is that of a unit never seen.
     *
     * @param length how many bytes of the array are the state's
     * @param newBaseMs the base time of a new state
     * @param newLookAtMs the first look at a new state
     * @throws IllegalStateException if the layout is not known or the lengths are wrong
     */
    void load(byte[] state, int length, Pages itsPages, long newBaseMs, long newLookAtMs) {
        loaded = state;
        pages = itsPages;
        changed = false;
        if (state == null) {
            baseMs = newBaseMs;
            lookAtMs = newLookAtMs;
            assignments.buckets = 0;
            outcomes.buckets = 0;
            waiting.startEmpty();
            for (Section section : sections) {
                section.load(NOTHING, 0, 0);
            }
        } else {
            read(state, length);
        }
        assignments.loaded();
        outcomes.loaded();
    }

    private void read(byte[] state, int length) {
        if (length == 0 || state[0] != LAYOUT) {
            throw new IllegalStateException("a unit's state has layout " + (length == 0 ? "none" : state[0])
                    + ", this engine reads " + LAYOUT + ": start without the old state (livelift rebuild --all)");
        }
        reader.start(state, 1);
        baseMs = reader.signed();
        lookAtMs = baseMs + reader.signed();
        int present = reader.u8();
        readPages(assignments, (present & 1 << ASSIGNMENTS) != 0);
        readPages(outcomes, (present & 1 << OUTCOMES) != 0);
        int waitingLength = 0;
        if ((present & 1 << WAITING) != 0) {
            waiting.lookAtMs = baseMs + reader.signed();
            waiting.oldestMs = baseMs + reader.signed();
            waiting.newestMs = baseMs + reader.signed();
            waiting.definitionsSeen = reader.count();
            waiting.firstPage = reader.count();
            waiting.nextPage = reader.count();
            waitingLength = reader.count();
        } else {
            waiting.startEmpty();
        }
        assignments.hashes.to = HASH * reader.count();
        outcomes.hashes.to = HASH * reader.count();
        assignments.entries.to = reader.count();
        sources.section.to = reader.count();
        places.to = reader.count();
        waiting.section.to = waitingLength;
        int at = reader.at;
        for (Section section : sections) {
            int end = section == outcomes.entries ? length : at + section.to;
            section.load(state, at, end);
            at = end;
        }
        if (outcomes.entries.from > length) {
            throw new IllegalStateException(
                    "a unit's state of " + length + " bytes should have " + outcomes.entries.from + " or more");
        }
    }

    private void readPages(EventMemory<?> memory, boolean present) {
        memory.buckets = present ? reader.count() : 0;
        memory.paged = present ? reader.count() : 0;
    }

    /** The state with all changes; the very array that was loaded if there were none; null if nothing is left. */
    byte[] store() {
        if (!changed) {
            return loaded;
        }
        if (isEmpty()) {
            return null;
        }
        writeHead();
        int length = 0;
        for (Section section : sections) {
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

    private boolean isEmpty() {
        return assignments.isEmpty() && outcomes.isEmpty() && places.isEmpty() && waiting.isEmpty();
    }

    private void writeHead() {
        head.clear();
        head.u8(LAYOUT);
        head.signed(baseMs);
        head.signed(lookAtMs - baseMs);
        head.u8((assignments.buckets > 0 ? 1 << ASSIGNMENTS : 0)
                | (outcomes.buckets > 0 ? 1 << OUTCOMES : 0)
                | (waiting.isEmpty() ? 0 : 1 << WAITING));
        writePages(assignments);
        writePages(outcomes);
        if (!waiting.isEmpty()) {
            head.signed(waiting.lookAtMs - baseMs);
            head.signed(waiting.oldestMs - baseMs);
            head.signed(waiting.newestMs - baseMs);
            head.unsigned(waiting.definitionsSeen);
            head.unsigned(waiting.firstPage);
            head.unsigned(waiting.nextPage);
            head.unsigned(waiting.section.length());
        }
        head.unsigned(assignments.hashes.length() / HASH);
        head.unsigned(outcomes.hashes.length() / HASH);
        head.unsigned(assignments.entries.length());
        head.unsigned(sources.section.length());
        head.unsigned(places.length());
    }

    private void writePages(EventMemory<?> memory) {
        if (memory.buckets > 0) {
            head.unsigned(memory.buckets);
            head.unsigned(memory.paged);
        }
    }

    /** Stores what was changed and opens it again, so that it can be read. */
    void reload() {
        if (changed) {
            byte[] state = store();
            load(state, state == null ? 0 : state.length, pages, baseMs, lookAtMs);
            changed = true; // against what the caller has
        }
    }

    /** To be called with every change of a section. */
    void markChanged() {
        changed = true;
    }

    Pages pages() {
        return pages;
    }

    long baseMs() {
        return baseMs;
    }

    /** When the whole is to be looked at. */
    long lookAtMs() {
        return lookAtMs;
    }

    void setLookAt(long newLookAtMs) {
        if (newLookAtMs != lookAtMs) {
            lookAtMs = newLookAtMs;
            changed = true;
        }
    }

    /** Makes the next look no later than a moment. */
    void lookBy(long latestMs) {
        setLookAt(Math.min(lookAtMs, latestMs));
    }
}

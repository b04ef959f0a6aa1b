package io.livelift.attribution;

import java.nio.charset.StandardCharsets;

/**
 * Assignments that wait for their definition, as they were received. What is more than a few kilobytes lies on pages,
 * in the order in which it came; only a look at all that waits reads it.
 *
 * <p>They are looked at 1, 2, 4 and 8 s after the newest of them was appended, then every 10 s, after 6 hours every 5
 * minutes, and when the horizon of the oldest has passed. A look at which no definition is new and no horizon has
 * passed reads none of them.
 */
final class WaitingRecords {
    /** Decides a record that waits. */
    interface Decision {
        /** False if it must go on waiting. */
        boolean decide(LogRecord record);
    }

    private static final int MOST_INLINE_BYTES = 2_048;

    /**
     * From so many pages on, which is a thousand records or so, they are refused together every 5 minutes: a look for
     * each, reading all, would cost the square of their number.
     */
    private static final int VERY_MANY_PAGES = 64;

    private static final long FIRST_AFTER_MS = 1_000;
    private static final long DOUBLING_UNTIL_MS = 8_000;
    private static final long EVERY_MS = 10_000;
    private static final long SELDOM_AFTER_MS = 6 * 3_600_000L;
    private static final long SELDOM_EVERY_MS = 300_000;

    final Section section = new Section();

    /** When to look at them next; {@link Long#MAX_VALUE} if there are none. */
    long lookAtMs;

    /** Append time of the oldest. */
    long oldestMs;

    /** Append time of the newest. */
    long newestMs;

    /** Size of the book of definitions when all of them were last looked for. */
    int definitionsSeen;

    /** Its pages are those from this one on, some of which may be gone… */
    int firstPage;

    /** …and before this one. */
    int nextPage;

    private final UnitState unit;
    private final int kind;
    private final HomeTopics topics = new HomeTopics();
    private final ByteReader reader = new ByteReader();
    private final ByteWriter left = new ByteWriter();
    private long oldestLeftMs;
    private long newestLeftMs;

    WaitingRecords(UnitState unit, int kind) {
        this.unit = unit;
        this.kind = kind;
    }

    void startEmpty() {
        lookAtMs = Long.MAX_VALUE;
        oldestMs = Long.MAX_VALUE;
        newestMs = Long.MIN_VALUE;
        firstPage = 0;
        nextPage = 0;
    }

    boolean isEmpty() {
        return firstPage == nextPage && section.isEmpty();
    }

    /** Adds a record whose definition is not among the first so many; at most one before the unit is stored. */
    void add(LogRecord record, int definitions) {
        if (isEmpty()) {
            definitionsSeen = definitions;
        }
        if (section.length() >= MOST_INLINE_BYTES) {
            unit.pages().put(number(nextPage++), section.toArray());
            section.dropOld();
        }
        write(record, section.added);
        oldestMs = Math.min(oldestMs, record.appendTimeMs);
        newestMs = Math.max(newestMs, record.appendTimeMs);
        lookAtMs = Math.min(lookAtMs, record.appendTimeMs + FIRST_AFTER_MS);
        unit.markChanged();
    }

    /** Offers every record to be decided, if any can be; the unit may be reloaded meanwhile. */
    void look(String tenantId, byte[] unitKey, long nowMs, long horizonMs, int definitions, Decision decision) {
        if (definitions != definitionsSeen || nowMs > oldestMs + horizonMs) {
            decideAll(tenantId, unitKey, decision);
            definitionsSeen = definitions;
        }
        lookAtMs = isEmpty() ? Long.MAX_VALUE : nextLookMs(nowMs, horizonMs);
        unit.markChanged();
    }

    private void decideAll(String tenantId, byte[] unitKey, Decision decision) {
        byte[] inline = section.toArray();
        int first = nextPage;
        oldestLeftMs = Long.MAX_VALUE;
        newestLeftMs = Long.MIN_VALUE;
        for (int page = firstPage; page < nextPage; page++) {
            byte[] records = unit.pages().get(number(page));
            if (records == null) {
                continue;
            }
            decide(records, tenantId, unitKey, decision);
            if (left.length == 0) {
                unit.pages().remove(number(page));
                continue;
            }
            first = Math.min(first, page);
            if (left.length < records.length) {
                unit.pages().put(number(page), left.toArray());
            }
        }
        decide(inline, tenantId, unitKey, decision);
        section.dropOld();
        section.added.bytes(left);
        firstPage = first;
        oldestMs = oldestLeftMs;
        newestMs = newestLeftMs;
        if (isEmpty()) {
            startEmpty();
        }
    }

    /** Leaves those that go on waiting in {@link #left}. */
    private void decide(byte[] records, String tenantId, byte[] unitKey, Decision decision) {
        left.clear();
        for (reader.start(records, 0); reader.at < records.length; ) {
            LogRecord record = read(tenantId, unitKey);
            if (!decision.decide(record)) {
                write(record, left);
                oldestLeftMs = Math.min(oldestLeftMs, record.appendTimeMs);
                newestLeftMs = Math.max(newestLeftMs, record.appendTimeMs);
            }
        }
    }

    private LogRecord read(String tenantId, byte[] unitKey) {
        LogRecord record = new LogRecord();
        record.kind = EventKind.ASSIGNMENT;
        record.tenantId = tenantId;
        record.key = unitKey;
        record.appendTimeMs = reader.fixed64();
        record.partition = (int) reader.signed();
        record.offset = reader.signed();
        byte[] topic = bytes(reader);
        record.topic = topic.length == 0
                ? topics.name(EventKind.ASSIGNMENT, tenantId)
                : new String(topic, StandardCharsets.UTF_8);
        record.value = bytes(reader);
        return record;
    }

    private static byte[] bytes(ByteReader in) {
        byte[] bytes = new byte[in.count()];
        System.arraycopy(in.buffer, in.at, bytes, 0, bytes.length);
        in.at += bytes.length;
        return bytes;
    }

    private static void write(LogRecord record, ByteWriter out) {
        String name = HomeTopics.isHome(record) ? "" : record.topic;
        byte[] topic = name.getBytes(StandardCharsets.UTF_8);
        out.fixed64(record.appendTimeMs);
        out.signed(record.partition);
        out.signed(record.offset);
        out.unsigned(topic.length);
        out.bytes(topic, 0, topic.length);
        out.unsigned(record.value.length);
        out.bytes(record.value, 0, record.value.length);
    }

    private int number(int page) {
        return page << UnitState.KIND_BITS | kind;
    }

    private long nextLookMs(long nowMs, long horizonMs) {
        long age = Math.max(0, nowMs - newestMs);
        long next;
        if (age < DOUBLING_UNTIL_MS) {
            next = FIRST_AFTER_MS;
            while (next <= age) {
                next *= 2;
            }
        } else {
            long step = age < SELDOM_AFTER_MS ? EVERY_MS : SELDOM_EVERY_MS;
            next = (age / step + 1) * step;
        }
        long tooLateMs = oldestMs + horizonMs + 1;
        if (nextPage - firstPage >= VERY_MANY_PAGES) {
            tooLateMs = Math.max(tooLateMs, nowMs + SELDOM_EVERY_MS);
        }
        return Math.min(newestMs + next, tooLateMs);
    }
}

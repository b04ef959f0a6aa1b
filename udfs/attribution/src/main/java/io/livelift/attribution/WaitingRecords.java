package io.livelift.attribution;

import java.nio.charset.StandardCharsets;

/**
 * Assignments that wait for their definition, as they were received. What is more than a few kilobytes lies on pages,
 * in the order in which it came; only a look at all that waits reads it.
 *
 * <p>A record is looked at 1, 2, 4 and 8 s after it was appended, then with all others of the unit every 10 s, after 6
 * hours every 5 minutes, and when its horizon has passed. Where very many wait, all looks are those in common: with one
 * for each record, each reading all, their cost would grow with the square of their number.
 */
final class WaitingRecords {
    /** Decides a record that waits. */
    interface Decision {
        /** False if it must go on waiting. */
        boolean decide(LogRecord record);
    }

    private static final int MOST_INLINE_BYTES = 2_048;

    /** From so many pages on, which is a thousand records or so, none has looks of its own. */
    private static final int VERY_MANY_PAGES = 64;

    private static final long FIRST_AFTER_MS = 1_000;
    private static final long DOUBLING_UNTIL_MS = 8_000;
    private static final long EVERY_MS = 10_000;
    private static final long SELDOM_AFTER_MS = 6 * 3_600_000L;
    private static final long SELDOM_EVERY_MS = 300_000;

    final Section section = new Section();

    /** When to look at them next; {@link Long#MAX_VALUE} if there are none. */
    long lookAtMs;

    /** Its pages are those from this one on, some of which may be gone… */
    int firstPage;

    /** …and before this one. */
    int nextPage;

    private final UnitState unit;
    private final int kind;
    private final HomeTopics topics = new HomeTopics();
    private final ByteReader reader = new ByteReader();
    private final ByteWriter left = new ByteWriter();

    WaitingRecords(UnitState unit, int kind) {
        this.unit = unit;
        this.kind = kind;
    }

    void startEmpty() {
        lookAtMs = Long.MAX_VALUE;
        firstPage = 0;
        nextPage = 0;
    }

    boolean isEmpty() {
        return firstPage == nextPage && section.isEmpty();
    }

    /** Adds a record; at most one before the unit is stored. */
    void add(LogRecord record) {
        if (section.length() >= MOST_INLINE_BYTES) {
            unit.pages().put(number(nextPage++), section.toArray());
            section.dropOld();
        }
        write(record, section.added);
        lookAtMs = Math.min(lookAtMs, nextLookMs(record.appendTimeMs, record.appendTimeMs, Long.MAX_VALUE));
        unit.markChanged();
    }

    /** Offers every record to be decided; the unit may be reloaded meanwhile. */
    void decide(String tenantId, byte[] unitKey, long nowMs, long horizonMs, Decision decision) {
        byte[] inline = section.toArray();
        long next = Long.MAX_VALUE;
        int first = nextPage;
        for (int page = firstPage; page < nextPage; page++) {
            byte[] records = unit.pages().get(number(page));
            if (records == null) {
                continue;
            }
            next = Math.min(next, decide(records, tenantId, unitKey, nowMs, horizonMs, decision));
            if (left.length == 0) {
                unit.pages().remove(number(page));
                continue;
            }
            first = Math.min(first, page);
            if (left.length < records.length) {
                unit.pages().put(number(page), left.toArray());
            }
        }
        next = Math.min(next, decide(inline, tenantId, unitKey, nowMs, horizonMs, decision));
        section.dropOld();
        section.added.bytes(left);
        firstPage = first;
        lookAtMs = next;
        if (isEmpty()) {
            startEmpty();
        }
        unit.markChanged();
    }

    /** Leaves those that go on waiting in {@link #left}, and says when to look at them. */
    private long decide(
            byte[] records, String tenantId, byte[] unitKey, long nowMs, long horizonMs, Decision decision) {
        left.clear();
        long next = Long.MAX_VALUE;
        for (reader.start(records, 0); reader.at < records.length; ) {
            LogRecord record = read(tenantId, unitKey);
            if (!decision.decide(record)) {
                write(record, left);
                next = Math.min(next, nextLookMs(record.appendTimeMs, nowMs, horizonMs));
            }
        }
        return next;
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

    /** Depends on the record and on how far time has come only, so between two looks the answer stays the same. */
    private long nextLookMs(long appendTimeMs, long nowMs, long horizonMs) {
        boolean hasOwnLooks = nextPage - firstPage < VERY_MANY_PAGES;
        long age = Math.max(0, nowMs - appendTimeMs);
        long next;
        if (hasOwnLooks && age < DOUBLING_UNTIL_MS) {
            next = FIRST_AFTER_MS;
            while (next <= age) {
                next *= 2;
            }
            next += appendTimeMs;
        } else {
            long step = age < SELDOM_AFTER_MS ? EVERY_MS : SELDOM_EVERY_MS;
            next = unit.baseMs() + (Math.floorDiv(appendTimeMs + age - unit.baseMs(), step) + 1) * step;
        }
        return hasOwnLooks && next - appendTimeMs > horizonMs ? appendTimeMs + horizonMs + 1 : next;
    }
}

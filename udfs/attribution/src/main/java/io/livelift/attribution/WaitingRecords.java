package io.livelift.attribution;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Assignments that wait for their definition, as they were received and in the order of the log. */
final class WaitingRecords {
    private static final long FIRST_AFTER_MS = 1_000;
    private static final long DOUBLING_UNTIL_MS = 8_000;
    private static final long EVERY_MS = 10_000;
    private static final long SELDOM_AFTER_MS = 6 * 3_600_000L;
    private static final long SELDOM_EVERY_MS = 300_000;

    private WaitingRecords() {}

    /** Copies of all records that wait; tenant and key are the unit's. */
    static List<LogRecord> read(Section section, String tenantId, byte[] unitKey) {
        ByteReader in = new ByteReader();
        List<LogRecord> records = new ArrayList<>();
        for (in.start(section.buffer, section.from); in.at < section.to; ) {
            LogRecord record = new LogRecord();
            record.kind = EventKind.ASSIGNMENT;
            record.tenantId = tenantId;
            record.key = unitKey;
            record.appendTimeMs = in.fixed64();
            record.partition = (int) in.signed();
            record.offset = in.signed();
            record.topic = new String(bytes(in), StandardCharsets.UTF_8);
            record.value = bytes(in);
            records.add(record);
        }
        return records;
    }

    /** The earliest look at any record that waits. */
    static long wakeAtMs(Section section, long nowMs, long horizonMs) {
        ByteReader in = new ByteReader();
        long wakeAtMs = Long.MAX_VALUE;
        for (in.start(section.buffer, section.from); in.at < section.to; ) {
            wakeAtMs = Math.min(wakeAtMs, nextLookMs(in.fixed64(), nowMs, horizonMs));
            in.signed();
            in.signed();
            pass(in); // the topic
            pass(in); // the value
        }
        return wakeAtMs;
    }

    private static void pass(ByteReader in) {
        int length = in.count();
        in.at += length;
    }

    private static byte[] bytes(ByteReader in) {
        byte[] bytes = new byte[in.count()];
        System.arraycopy(in.buffer, in.at, bytes, 0, bytes.length);
        in.at += bytes.length;
        return bytes;
    }

    static void write(LogRecord record, ByteWriter out) {
        byte[] topic = record.topic.getBytes(StandardCharsets.UTF_8);
        out.fixed64(record.appendTimeMs);
        out.signed(record.partition);
        out.signed(record.offset);
        out.unsigned(topic.length);
        out.bytes(topic, 0, topic.length);
        out.unsigned(record.value.length);
        out.bytes(record.value, 0, record.value.length);
    }

    /**
     * When to look next for the definition of a record: 1, 2, 4 and 8 s after its append time, then every 10 s, after 6
     * hours every 5 minutes, and when its horizon has passed.
     *
     * <p>Depends on the record and on how far time has come only, so between two looks the answer stays the same.
     */
    static long nextLookMs(long appendTimeMs, long nowMs, long horizonMs) {
        long age = Math.max(0, nowMs - appendTimeMs);
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
        boolean isOverdue = age > horizonMs; // it waits behind another that has time left
        return appendTimeMs + (isOverdue ? next : Math.min(next, horizonMs + 1));
    }
}

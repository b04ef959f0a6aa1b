package io.livelift.attribution.flink;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Output;
import io.livelift.attribution.Reason;
import io.livelift.attribution.Series;
import io.livelift.attribution.SumDelta;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;

/**
 * Adds up what the rules put out, by series and cohort, until {@link #flush}: then one row for each that changed.
 * Refused records go on at once. What is pending is in no state, so it must be flushed before every checkpoint.
 *
 * <p>Series are told apart by identity: equal ones that are two instances are two rows, which the next aggregate adds.
 *
 * <p>In a job for one experiment it passes on what names the experiment and nothing else, so neither ledger nor refused
 * records.
 */
final class PendingSums implements Output {
    /** Entries are remembered between flushes, because most come again; when there are more, all are forgotten. */
    static final int MOST_REMEMBERED = 100_000;

    private static final byte[] NO_SUMS = {};
    private static final int FEWEST_PLACES = 1024;

    private final DeltaRows rows;
    private final String onlyExperimentId;
    private final Consumer<RowData> collector;
    private final List<Entry> pending = new ArrayList<>();

    /** By hash, each in the first free place from its own on; at most half of the places are taken. */
    private Entry[] places = new Entry[FEWEST_PLACES];

    private int remembered;

    /** @param onlyExperimentId empty for all experiments */
    PendingSums(DeltaRows rows, String onlyExperimentId, Consumer<RowData> collector) {
        this.rows = rows;
        this.onlyExperimentId = onlyExperimentId;
        this.collector = collector;
    }

    boolean isEmpty() {
        return pending.isEmpty();
    }

    /** Whether so much is pending that it should be flushed now. */
    boolean isFull() {
        return pending.size() >= MOST_REMEMBERED;
    }

    @Override
    public void delta(Series series, long cohortMs, long n, byte[] sums, long appendTimeMs) {
        if (!onlyExperimentId.isEmpty() && !onlyExperimentId.equals(series.experimentId())) {
            return;
        }
        Entry entry = entry(series, cohortMs);
        if (!entry.isPending) {
            entry.isPending = true;
            pending.add(entry);
        }
        entry.n += n;
        entry.sums.add(sums);
        entry.countedAtMs = Math.max(entry.countedAtMs, appendTimeMs);
    }

    @Override
    public void rejected(Reason reason, String detail, LogRecord record) {
        if (onlyExperimentId.isEmpty()) {
            collector.accept(rows.rejected(reason, detail, record));
        }
    }

    /** The key's row leaves with the next flush, whether something is added to it or not. */
    void touch(JsonNode key) {
        Series series = new Series(
                key.path("kind").asText(),
                key.path("tenant_id").asText(),
                key.path("experiment_id").asText(),
                key.path("config_version").asInt(),
                key.path("variant_id").asText(),
                key.path("metric_id").asText(),
                key.path("segment").asText(),
                key.path("unit_class").asText());
        delta(series, key.path("cohort").asLong(), 0, NO_SUMS, 0);
    }

    /** A task says how far time has come. */
    void coverage(int task, long watermark) {
        collector.accept(rows.coverage(task, watermark));
    }

    /** Sends a row for every entry that something was added to. */
    void flush() {
        for (Entry entry : pending) {
            collector.accept(entry.taken());
        }
        pending.clear();
        if (remembered > MOST_REMEMBERED) {
            places = new Entry[FEWEST_PLACES];
            remembered = 0;
        }
    }

    private Entry entry(Series series, long cohortMs) {
        int last = places.length - 1;
        for (int at = place(series, cohortMs) & last; places[at] != null; at = at + 1 & last) {
            if (places[at].series == series && places[at].cohortMs == cohortMs) {
                return places[at];
            }
        }
        Entry entry = new Entry(series, cohortMs, rows.of(series, cohortMs));
        if (2 * ++remembered > places.length) {
            Entry[] old = places;
            places = new Entry[2 * old.length];
            for (Entry each : old) {
                if (each != null) {
                    put(each);
                }
            }
        }
        put(entry);
        return entry;
    }

    private void put(Entry entry) {
        int last = places.length - 1;
        int at = place(entry.series, entry.cohortMs) & last;
        while (places[at] != null) {
            at = at + 1 & last;
        }
        places[at] = entry;
    }

    private static int place(Series series, long cohortMs) {
        return (int) ((System.identityHashCode(series) ^ cohortMs) * 0x9E3779B97F4A7C15L >>> 32);
    }

    private static final class Entry {
        private final Series series;
        private final long cohortMs;
        private final GenericRowData row;
        private final SumDelta sums = new SumDelta();
        private long n;
        private long countedAtMs;
        private boolean isPending;

        Entry(Series series, long cohortMs, GenericRowData row) {
            this.series = series;
            this.cohortMs = cohortMs;
            this.row = row;
        }

        RowData taken() {
            DeltaRows.count(row, n, sums.toBytes(), countedAtMs);
            n = 0;
            sums.clear();
            countedAtMs = 0;
            isPending = false;
            return row;
        }
    }
}

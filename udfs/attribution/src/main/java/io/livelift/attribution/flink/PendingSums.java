package io.livelift.attribution.flink;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Output;
import io.livelift.attribution.Reason;
import io.livelift.attribution.Series;
import io.livelift.attribution.SumDelta;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;

/**
 * Adds up what the rules put out, by series and cohort, until {@link #flush}: then one change for each.
 * Refused records go on at once. What is pending is in no state, so it must be flushed before every checkpoint.
 *
 * <p>Slots of one series are added up over all cohorts, too: kind {@code total}, cohort 0. These say what most
 * people look at, and there are as many as series, however many cohorts outcomes come for; so they can leave often and
 * the slots themselves, {@link #flushSlots}, seldom.
 *
 * <p>Series are told apart by identity: equal ones that are two instances are two changes, which their sum takes one by one.
 *
 * <p>In a job for one experiment it passes on what names the experiment and nothing else, so neither ledger nor refused
 * records.
 */
final class PendingSums implements Output {
    /** Entries are remembered between flushes, because most come again; when there are more, all are forgotten. */
    static final int MOST_REMEMBERED = 100_000;

    static final String COVERAGE = "coverage";
    static final String SLOT = "slot";

    private static final byte[] NO_SUMS = {};
    private static final int FEWEST_PLACES = 1024;
    private static final String TOTAL = "total";

    private final String onlyExperimentId;
    private final Consumer<SumChange> collector;
    private final List<Entry> pending = new ArrayList<>();
    private final List<Entry> pendingSlots = new ArrayList<>();
    private final Map<Series, Series> totals = new IdentityHashMap<>();

    /** By hash, each in the first free place from its own on; at most half of the places are taken. */
    private Entry[] places = new Entry[FEWEST_PLACES];

    private int remembered;

    /** @param onlyExperimentId empty for all experiments */
    PendingSums(String onlyExperimentId, Consumer<SumChange> collector) {
        this.onlyExperimentId = onlyExperimentId;
        this.collector = collector;
    }

    /** To be called after every record: when so much is pending that it must leave, slots do, which are the most. */
    void makeRoom() {
        if (pending.size() + pendingSlots.size() < MOST_REMEMBERED) {
            return;
        }
        addToTotals();
        sendSlots();
        forget();
        if (2 * pending.size() > MOST_REMEMBERED) {
            flushSlots();
        } else {
            pending.forEach(this::remember);
        }
    }

    @Override
    public void delta(Series series, long cohortMs, long n, SumDelta sums, long appendTimeMs) {
        if (!onlyExperimentId.isEmpty() && !onlyExperimentId.equals(series.experimentId())) {
            return;
        }
        Entry entry = entry(series, cohortMs);
        entry.add(n, sums, appendTimeMs);
        if (!entry.isPending) {
            entry.isPending = true;
            pending.add(entry);
        }
    }

    @Override
    public void rejected(Reason reason, String detail, LogRecord record) {
        if (onlyExperimentId.isEmpty()) {
            collector.accept(CountedRows.refusal(reason, detail, record));
        }
    }

    /** The key's row is to be told once more, with nothing added to it. */
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
        collector.accept(SumChange.counted(SumKey.of(series, key.path("cohort").asLong()), 0, NO_SUMS, 0));
    }

    /** A task says how far time has come. */
    void coverage(int task, long watermark) {
        Series series = new Series(COVERAGE, "", "", 0, "", String.valueOf(task), "", "");
        collector.accept(SumChange.counted(SumKey.of(series, 0), 0, NO_SUMS, watermark));
    }

    /**
     * Sends a change for everything that something was added to; of slots only their totals, they go on waiting.
     *
     * @return the number of changes
     */
    int flush() {
        addToTotals();
        int told = pending.size();
        for (Entry entry : pending) {
            entry.isPending = false;
            collector.accept(entry.taken(entry));
        }
        pending.clear();
        return told;
    }

    /** Takes the slots out of what is pending; their totals, which are appended on the way, stay. */
    private void addToTotals() {
        int others = 0;
        for (int i = 0; i < pending.size(); i++) {
            Entry entry = pending.get(i);
            if (entry.total == null) {
                pending.set(others++, entry);
            } else {
                entry.isPending = false;
                tell(entry);
            }
        }
        pending.subList(others, pending.size()).clear();
    }

    /** Sends everything, slots too; returns the number of changes. */
    int flushSlots() {
        int told = flush() + pendingSlots.size();
        sendSlots();
        if (Math.max(remembered, totals.size()) > MOST_REMEMBERED) {
            forget();
            totals.clear();
        }
        return told;
    }

    private void sendSlots() {
        for (Entry entry : pendingSlots) {
            entry.waits = false;
            collector.accept(entry.taken(entry.told));
        }
        pendingSlots.clear();
    }

    private void forget() {
        places = new Entry[FEWEST_PLACES];
        remembered = 0;
    }

    private void tell(Entry slot) {
        slot.total.addAll(slot);
        slot.told.addAll(slot);
        slot.clear();
        if (!slot.total.isPending) {
            slot.total.isPending = true;
            pending.add(slot.total);
        }
        if (!slot.waits) {
            slot.waits = true;
            pendingSlots.add(slot);
        }
    }

    private Entry entry(Series series, long cohortMs) {
        int last = places.length - 1;
        for (int at = place(series, cohortMs) & last; places[at] != null; at = at + 1 & last) {
            if (places[at].series == series && places[at].cohortMs == cohortMs) {
                return places[at];
            }
        }
        Entry entry = new Entry(series, cohortMs, totalOf(series));
        remember(entry);
        return entry;
    }

    private void remember(Entry entry) {
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
    }

    /** Of the series of a slot; null for others. */
    private Entry totalOf(Series series) {
        if (!series.kind().equals(SLOT)) {
            return null;
        }
        Series total = totals.computeIfAbsent(
                series,
                slot -> new Series(
                        TOTAL,
                        slot.tenantId(),
                        slot.experimentId(),
                        slot.configVersion(),
                        slot.variantId(),
                        slot.metricId(),
                        slot.segment(),
                        slot.unitClass()));
        return entry(total, 0);
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

    /** What is to be added to a sum. One object with its sums, because finding them takes more time than adding. */
    private static class Change extends SumDelta {
        private long n;
        private long countedAtMs;

        final void add(long more, SumDelta sums, long atMs) {
            n += more;
            add(sums);
            countedAtMs = Math.max(countedAtMs, atMs);
        }

        final void addAll(Change other) {
            add(other.n, other, other.countedAtMs);
        }

        @Override
        public final void clear() {
            super.clear();
            n = 0;
            countedAtMs = 0;
        }
    }

    /** A sum, and what came for it since the last flush. */
    private static final class Entry extends Change {
        private final Series series;
        private final long cohortMs;
        private final SumKey key;

        /** Of a slot: where its changes are added, too; else null. */
        private final Entry total;

        /** Of a slot: what its total has told already; else null. */
        private final Change told;

        private boolean isPending;
        private boolean waits;

        Entry(Series series, long cohortMs, Entry total) {
            this.series = series;
            this.cohortMs = cohortMs;
            this.key = SumKey.of(series, cohortMs);
            this.total = total;
            this.told = total == null ? null : new Change();
        }

        /** As it is now, and makes it nothing. */
        SumChange taken(Change change) {
            SumChange taken = SumChange.counted(key, change.n, change.toBytes(), change.countedAtMs);
            change.clear();
            return taken;
        }
    }
}

package io.livelift.attribution.flink;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Output;
import io.livelift.attribution.Reason;
import io.livelift.attribution.SumDelta;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;

/**
 * Adds up what the rules put out, by key, until {@link #flush}: then one row for each key that changed. Refused records
 * go on at once. What is pending is in no state, so it must be flushed before every checkpoint.
 *
 * <p>In a job for one experiment it passes on what names the experiment and nothing else, so neither ledger nor refused
 * records.
 */
final class PendingSums implements Output {
    /** Keys are remembered between flushes, because most come again; when there are more, all are forgotten. */
    static final int MOST_REMEMBERED = 50_000;

    private static final byte[] NO_SUMS = {};

    private final DeltaRows rows;
    private final String onlyExperimentId;
    private final Consumer<RowData> collector;
    private final Map<Key, Entry> entries = new HashMap<>();
    private final List<Entry> pending = new ArrayList<>();
    private final Key asked = new Key();
    private String tenantId = "";

    /** @param onlyExperimentId empty for all experiments */
    PendingSums(DeltaRows rows, String onlyExperimentId, Consumer<RowData> collector) {
        this.rows = rows;
        this.onlyExperimentId = onlyExperimentId;
        this.collector = collector;
    }

    /** Whose deltas come next. */
    void of(String newTenantId) {
        tenantId = newTenantId;
    }

    boolean isEmpty() {
        return pending.isEmpty();
    }

    /** Whether so much is pending that it should be flushed now. */
    boolean isFull() {
        return pending.size() >= MOST_REMEMBERED;
    }

    @Override
    public void delta(
            String kind,
            String experimentId,
            int configVersion,
            String variantId,
            String metricId,
            String segment,
            long cohortMs,
            String unitClass,
            long n,
            byte[] sums,
            long appendTimeMs) {
        if (!onlyExperimentId.isEmpty() && !onlyExperimentId.equals(experimentId)) {
            return;
        }
        Key key = asked;
        key.set(kind, tenantId, experimentId, configVersion, variantId, metricId, segment, cohortMs, unitClass);
        Entry entry = entries.get(key);
        if (entry == null) {
            entry = new Entry(key.row(rows));
            entries.put(key.copy(), entry);
        }
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
        String tenantBefore = tenantId;
        tenantId = key.path("tenant_id").asText();
        delta(
                key.path("kind").asText(),
                key.path("experiment_id").asText(),
                key.path("config_version").asInt(),
                key.path("variant_id").asText(),
                key.path("metric_id").asText(),
                key.path("segment").asText(),
                key.path("cohort").asLong(),
                key.path("unit_class").asText(),
                0,
                NO_SUMS,
                0);
        tenantId = tenantBefore;
    }

    /** A task says how far time has come. */
    void coverage(int task, long watermark) {
        collector.accept(rows.coverage(task, watermark));
    }

    /** Sends a row for every key that something was added to. */
    void flush() {
        for (Entry entry : pending) {
            collector.accept(entry.taken());
        }
        pending.clear();
        if (entries.size() > MOST_REMEMBERED) {
            entries.clear();
        }
    }

    private static final class Entry {
        private final GenericRowData row;
        private final SumDelta sums = new SumDelta();
        private long n;
        private long countedAtMs;
        private boolean isPending;

        Entry(GenericRowData row) {
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

    /** What is added up together. The strings are usually the same instances, so that comparing them costs little. */
    private static final class Key {
        private String kind;
        private String tenantId;
        private String experimentId;
        private int configVersion;
        private String variantId;
        private String metricId;
        private String segment;
        private long cohortMs;
        private String unitClass;
        private int hash;

        void set(
                String newKind,
                String newTenantId,
                String newExperimentId,
                int newConfigVersion,
                String newVariantId,
                String newMetricId,
                String newSegment,
                long newCohortMs,
                String newUnitClass) {
            kind = newKind;
            tenantId = newTenantId;
            experimentId = newExperimentId;
            configVersion = newConfigVersion;
            variantId = newVariantId;
            metricId = newMetricId;
            segment = newSegment;
            cohortMs = newCohortMs;
            unitClass = newUnitClass;
            int mixed = kind.hashCode();
            mixed = 31 * mixed + tenantId.hashCode();
            mixed = 31 * mixed + experimentId.hashCode();
            mixed = 31 * mixed + configVersion;
            mixed = 31 * mixed + variantId.hashCode();
            mixed = 31 * mixed + metricId.hashCode();
            mixed = 31 * mixed + segment.hashCode();
            mixed = 31 * mixed + unitClass.hashCode();
            long mixedWithTime = (mixed ^ cohortMs) * 0x9E3779B97F4A7C15L;
            hash = (int) (mixedWithTime >>> 32);
        }

        Key copy() {
            Key copy = new Key();
            copy.set(
                    kind,
                    tenantId,
                    experimentId,
                    configVersion,
                    variantId,
                    metricId,
                    segment,
                    cohortMs,
                    unitClass);
            return copy;
        }

        GenericRowData row(DeltaRows rows) {
            return rows.keyed(
                    kind,
                    tenantId,
                    experimentId,
                    configVersion,
                    variantId,
                    metricId,
                    segment,
                    cohortMs,
                    unitClass);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Key key
                    && hash == key.hash
                    && cohortMs == key.cohortMs
                    && configVersion == key.configVersion
                    && metricId.equals(key.metricId)
                    && experimentId.equals(key.experimentId)
                    && variantId.equals(key.variantId)
                    && kind.equals(key.kind)
                    && unitClass.equals(key.unitClass)
                    && segment.equals(key.segment)
                    && tenantId.equals(key.tenantId);
        }

        @Override
        public int hashCode() {
            return hash;
        }
    }
}

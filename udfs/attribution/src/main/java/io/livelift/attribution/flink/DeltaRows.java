package io.livelift.attribution.flink;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Output;
import io.livelift.attribution.Reason;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;

/**
 * Gives everything the rules put out one row type: counted changes, and refused records as kind {@code rejected} with
 * {@code refused} filled in and every key column empty. In a job for one experiment it passes on what names the
 * experiment and nothing else, so neither ledger nor refused records.
 *
 * <p>The row type enters the state of the aggregate behind it: a new counter is a new kind, never a new column.
 */
final class DeltaRows implements Output {
    static final String TYPE = "ROW<kind STRING NOT NULL, epoch INT NOT NULL, experiment_id STRING NOT NULL,"
            + " config_version INT NOT NULL, variant_id STRING NOT NULL, metric_id STRING NOT NULL, segment STRING NOT NULL,"
            + " cohort BIGINT NOT NULL, unit_class STRING NOT NULL, region STRING NOT NULL,"
            + " n BIGINT NOT NULL, sums BYTES NOT NULL, counted_at BIGINT NOT NULL,"
            + " refused ROW<reason STRING, detail STRING, topic STRING, `partition` INT, `offset` BIGINT,"
            + " append_time BIGINT, record_key BYTES, record_value BYTES>>";

    /** Longer values are cut, or the row would not fit a Kafka message and one record would stop the job. */
    static final int MOST_REFUSED_BYTES = 900_000;

    private static final StringData REJECTED = StringData.fromString("rejected");
    private static final StringData EMPTY = StringData.fromString("");
    private static final byte[] NO_SUMS = {};

    /** Ids come from definitions and are few; the limit is for a producer who makes an experiment for each request. */
    private static final int MOST_TEXTS = 20_000;

    private final StringData region;
    private final int epoch;
    private final String onlyExperimentId;
    private final Consumer<RowData> collector;
    private final Map<String, StringData> texts = new HashMap<>();

    /**
     * @param epoch in the key of every row
     * @param onlyExperimentId empty for all experiments
     */
    DeltaRows(String region, int epoch, String onlyExperimentId, Consumer<RowData> collector) {
        this.region = StringData.fromString(region);
        this.epoch = epoch;
        this.onlyExperimentId = onlyExperimentId;
        this.collector = collector;
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
        collector.accept(GenericRowData.of(
                text(kind),
                epoch,
                text(experimentId),
                configVersion,
                text(variantId),
                text(metricId),
                text(segment),
                cohortMs,
                text(unitClass),
                region,
                n,
                sums,
                appendTimeMs,
                null));
    }

    @Override
    public void rejected(Reason reason, String detail, LogRecord record) {
        if (!onlyExperimentId.isEmpty()) {
            return;
        }
        byte[] value = record.value;
        String told = detail;
        if (value != null && value.length > MOST_REFUSED_BYTES) {
            value = Arrays.copyOf(value, MOST_REFUSED_BYTES);
            told = detail + " (the first " + MOST_REFUSED_BYTES + " of " + record.value.length + " bytes are kept)";
        }
        GenericRowData refused = GenericRowData.of(
                StringData.fromString(reason.wireName()),
                StringData.fromString(told),
                StringData.fromString(record.topic),
                record.partition,
                record.offset,
                record.appendTimeMs,
                record.key,
                value);
        collector.accept(GenericRowData.of(
                REJECTED,
                epoch,
                EMPTY,
                0,
                EMPTY,
                EMPTY,
                EMPTY,
                0L,
                EMPTY,
                region,
                0L,
                NO_SUMS,
                record.appendTimeMs,
                refused));
    }

    /** The text in Flink's form, encoded once for each id instead of once for each row. */
    private StringData text(String text) {
        StringData encoded = texts.get(text);
        if (encoded == null) {
            if (texts.size() >= MOST_TEXTS) {
                texts.clear();
            }
            encoded = StringData.fromString(text);
            texts.put(text, encoded);
        }
        return encoded;
    }
}

package io.livelift.attribution.flink;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import io.livelift.attribution.Series;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.RowType;

/**
 * The one row type of everything the job counts: the newest content of a sum, and refused records as kind {@code
 * rejected} with {@code refused} filled in and every key column but the tenant empty.
 */
final class CountedRows {
    /** The columns, in this order. {@code jobs/wiring/kafka.py} declares the same. */
    static final DataType TYPE = DataTypes.ROW(
                    field("kind", DataTypes.STRING().notNull()),
                    field("epoch", DataTypes.INT().notNull()),
                    field("tenant_id", DataTypes.STRING().notNull()),
                    field("experiment_id", DataTypes.STRING().notNull()),
                    field("config_version", DataTypes.INT().notNull()),
                    field("variant_id", DataTypes.STRING().notNull()),
                    field("metric_id", DataTypes.STRING().notNull()),
                    field("segment", DataTypes.STRING().notNull()),
                    field("cohort", DataTypes.BIGINT().notNull()),
                    field("unit_class", DataTypes.STRING().notNull()),
                    field("region", DataTypes.STRING().notNull()),
                    field("n", DataTypes.BIGINT().notNull()),
                    field("sums", DataTypes.BYTES().notNull()),
                    field("as_of", DataTypes.BIGINT().notNull()),
                    field("updates", DataTypes.BIGINT().notNull()),
                    field(
                            "refused",
                            DataTypes.ROW(
                                    field("reason", DataTypes.STRING()),
                                    field("detail", DataTypes.STRING()),
                                    field("topic", DataTypes.STRING()),
                                    field("partition", DataTypes.INT()),
                                    field("offset", DataTypes.BIGINT()),
                                    field("append_time", DataTypes.BIGINT()),
                                    field("record_key", DataTypes.BYTES()),
                                    field("record_value", DataTypes.BYTES()))))
            .notNull();

    static final RowType LOGICAL = (RowType) TYPE.getLogicalType();

    /** The columns of {@code refused}. */
    static final RowType REFUSED = (RowType) LOGICAL.getTypeAt(LOGICAL.getFieldIndex("refused"));

    /** Longer values are cut, or the row would not fit a Kafka message and one record would stop the job. */
    static final int MOST_REFUSED_BYTES = 900_000;

    /** Ids come from definitions and are few; the limit is for a producer who makes an experiment for each request. */
    private static final int MOST_TEXTS = 20_000;

    private final StringData region;
    private final int epoch;
    private final Map<String, StringData> texts = new HashMap<>();

    /** @param epoch in the key of every row */
    CountedRows(String region, int epoch) {
        this.region = StringData.fromString(region);
        this.epoch = epoch;
    }

    RowData of(SumKey key, Sum sum) {
        return row(key, sum.n, sum.sums.toBytes(), sum.countedAtMs, sum.updates, null);
    }

    RowData refused(SumChange change) {
        return row(change.key(), 0, change.sums(), change.countedAtMs(), 0, change.refused());
    }

    private RowData row(SumKey key, long n, byte[] sums, long countedAtMs, long updates, RowData refused) {
        Series series = key.series();
        return GenericRowData.of(
                text(series.kind()),
                epoch,
                text(series.tenantId()),
                text(series.experimentId()),
                series.configVersion(),
                text(series.variantId()),
                text(series.metricId()),
                text(series.segment()),
                refused == null ? key.timeMs() : 0L,
                text(series.unitClass()),
                region,
                n,
                sums,
                countedAtMs,
                updates,
                refused);
    }

    /** A refused record on its way, with those of its unit, whose order stays: all of a tenant's are too many for a task. */
    static SumChange refusal(Reason reason, String detail, LogRecord record) {
        byte[] value = record.value;
        String told = detail;
        if (value != null && value.length > MOST_REFUSED_BYTES) {
            value = Arrays.copyOf(value, MOST_REFUSED_BYTES);
            told = detail + " (the first " + MOST_REFUSED_BYTES + " of " + record.value.length + " bytes are kept)";
        }
        Series series = new Series("rejected", record.tenantId, "", 0, "", "", "", "");
        return SumChange.refused(
                SumKey.of(series, Arrays.hashCode(record.key)),
                record.appendTimeMs,
                GenericRowData.of(
                        StringData.fromString(reason.wireName()),
                        StringData.fromString(told),
                        StringData.fromString(record.topic),
                        record.partition,
                        record.offset,
                        record.appendTimeMs,
                        record.key,
                        value));
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

    private static DataTypes.Field field(String name, DataType type) {
        return DataTypes.FIELD(name, type);
    }
}

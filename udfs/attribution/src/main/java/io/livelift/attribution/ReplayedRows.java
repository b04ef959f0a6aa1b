package io.livelift.attribution;

import java.math.BigInteger;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** Adds up delta rows as the job's GROUP BY does, and collects the refusals. */
final class ReplayedRows implements Output {
    private record Key(
            String kind,
            String tenantId,
            String experimentId,
            int configVersion,
            String variantId,
            String metricId,
            String segment,
            long cohortMs,
            String unitClass) {}

    private static final class Total {
        long n;
        final SumDelta sums = new SumDelta();
    }

    final ArrayNode rejected;
    String tenantId;
    long rows;
    private final ObjectMapper json;
    private final Map<Key, Total> totals = new HashMap<>();

    ReplayedRows(ObjectMapper json) {
        this.json = json;
        this.rejected = json.createArrayNode();
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
        if (n == 0 && sums.length == 0) {
            throw new IllegalStateException("a row that changes nothing");
        }
        Key key =
                new Key(kind, tenantId, experimentId, configVersion, variantId, metricId, segment, cohortMs, unitClass);
        Total total = totals.computeIfAbsent(key, absent -> new Total());
        total.n += n;
        total.sums.add(sums);
        rows++;
    }

    @Override
    public void rejected(Reason reason, String detail, LogRecord record) {
        rejected.addObject()
                .put("reason", reason.wireName())
                .put("detail", detail)
                .put("topic", record.topic)
                .put("partition", record.partition)
                .put("offset", record.offset)
                .put("append_time", record.appendTimeMs)
                .put("key", record.key)
                .put("value", record.value);
    }

    /** Every total of a kind that is not all zero. */
    ArrayNode toJson(String kind, String region) {
        ArrayNode found = json.createArrayNode();
        totals.forEach((key, total) -> {
            if (!key.kind().equals(kind) || total.n == 0 && total.sums.isZero()) {
                return;
            }
            ObjectNode row = found.addObject()
                    .put("tenant_id", key.tenantId())
                    .put("experiment_id", key.experimentId())
                    .put("config_version", key.configVersion())
                    .put("variant_id", key.variantId())
                    .put("metric_id", key.metricId())
                    .put("segment", key.segment())
                    .put("cohort_ms", key.cohortMs())
                    .put("unit_class", key.unitClass())
                    .put("region", region)
                    .put("n", total.n);
            ArrayNode sums = row.putArray("sums");
            for (BigInteger sum : SumDelta.decode(total.sums.toBytes())) {
                sums.add(sum.toString());
            }
        });
        return found;
    }
}

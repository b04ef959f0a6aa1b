package io.livelift.attribution;

import java.math.BigInteger;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** Adds up changes as the job does, and collects the refusals. */
final class ReplayedRows implements Output {
    private record Key(Series series, long cohortMs) {}

    private static final class Total {
        long n;
        final SumDelta sums = new SumDelta();
    }

    final ArrayNode rejected;
    long rows;
    private final ObjectMapper json;
    private final Map<Key, Total> totals = new HashMap<>();

    ReplayedRows(ObjectMapper json) {
        this.json = json;
        this.rejected = json.createArrayNode();
    }

    @Override
    public void delta(Series series, long cohortMs, long n, SumDelta sums, long appendTimeMs) {
        if (n == 0 && sums.isZero()) {
            throw new IllegalStateException("a row that changes nothing");
        }
        Total total = totals.computeIfAbsent(new Key(series, cohortMs), absent -> new Total());
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
            if (!key.series().kind().equals(kind) || total.n == 0 && total.sums.isZero()) {
                return;
            }
            ObjectNode row = found.addObject()
                    .put("tenant_id", key.series().tenantId())
                    .put("experiment_id", key.series().experimentId())
                    .put("config_version", key.series().configVersion())
                    .put("variant_id", key.series().variantId())
                    .put("metric_id", key.series().metricId())
                    .put("segment", key.series().segment())
                    .put("cohort_ms", key.cohortMs())
                    .put("unit_class", key.series().unitClass())
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

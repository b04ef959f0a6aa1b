package io.livelift.attribution;

import java.math.BigInteger;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/** Adds up delta rows as the job's GROUP BY does, and collects the refusals. */
final class ReplayedSlots implements Output {
    private record Key(
            String tenantId,
            String experimentId,
            int configVersion,
            String variantId,
            String metricId,
            String segment,
            long cohortMs,
            String unitClass) {}

    private static final class Slot {
        long n;
        final SumDelta sums = new SumDelta();
    }

    final ArrayNode rejected;
    String tenantId;
    long rows;
    private final ObjectMapper json;
    private final Map<Key, Slot> slots = new HashMap<>();

    ReplayedSlots(ObjectMapper json) {
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
        Key key = new Key(tenantId, experimentId, configVersion, variantId, metricId, segment, cohortMs, unitClass);
        Slot slot = slots.computeIfAbsent(key, absent -> new Slot());
        slot.n += n;
        slot.sums.add(sums);
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

    /** Every slot that is not all zero. */
    ArrayNode toJson(String region) {
        ArrayNode found = json.createArrayNode();
        slots.forEach((key, slot) -> {
            if (slot.n == 0 && slot.sums.isZero()) {
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
                    .put("n", slot.n);
            ArrayNode sums = row.putArray("sums");
            for (BigInteger sum : SumDelta.decode(slot.sums.toBytes())) {
                sums.add(sum.toString());
            }
        });
        return found;
    }
}

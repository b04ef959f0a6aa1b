package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.junit.jupiter.api.Test;

class RejectedSharesTest {
    private static final long BEGINNING = 1_767_225_600_000L;
    private static final long TWO_MINUTES_LATER = BEGINNING + 120_000;

    private final Gauges gauges = new Gauges("", new HashMap<>());
    private final List<SumChange> changes = new ArrayList<>();
    private long nanos;
    private final RejectedShares shares =
            new RejectedShares(gauges, 5, new PendingSums("", changes::add), () -> nanos);

    @Test
    void theShareIsThatOfRefusedRecordsAmongThoseReceived() {
        receive("acme", BEGINNING, 190, 0);
        receive("acme", BEGINNING + 60_000, 10, 10);
        assertEquals(0.05, share("acme"));
        assertEquals(0, aboveLimit("acme"), "not above, but at the limit");
        receive("acme", BEGINNING + 60_000, 1, 1);
        assertEquals(1, aboveLimit("acme"));
    }

    @Test
    void eachTenantHasAShareOfItsOwn() {
        receive("bad", BEGINNING, 100, 100);
        receive("good", BEGINNING, 100, 0);
        assertEquals(1.0, share("bad"));
        assertEquals(0.0, share("good"));
    }

    @Test
    void aFewRecordsSayNothing() {
        receive("acme", BEGINNING, 99, 99);
        assertEquals(0.0, share("acme"));
        receive("acme", BEGINNING, 1, 0);
        assertEquals(0.99, share("acme"));
    }

    @Test
    void duplicatesAreNotRefused() {
        receive("acme", BEGINNING, 100, 0);
        for (int i = 0; i < 100; i++) {
            shares.rejected(Reason.DUPLICATE, "", record("acme", BEGINNING));
        }
        assertEquals(0.0, share("acme"));
        assertEquals(100, changes.size(), "all are passed on");
    }

    @Test
    void afterTwoMinutesOfTheLogTheyAreForgotten() {
        receive("acme", BEGINNING, 100, 100);
        receive("acme", TWO_MINUTES_LATER - 10_000, 100, 0);
        assertEquals(0.5, share("acme"));
        receive("acme", TWO_MINUTES_LATER, 100, 0);
        assertEquals(0.0, share("acme"));
        assertEquals(0, aboveLimit("acme"));
    }

    @Test
    void aRecordOfLongAgoIsOfNoShare() {
        receive("acme", TWO_MINUTES_LATER, 100, 0);
        receive("acme", BEGINNING, 100, 100);
        assertEquals(0.0, share("acme"));
    }

    @Test
    void aTenantThatFellSilentHasNoShare() {
        receive("acme", BEGINNING, 100, 100);
        nanos = 120_000_000_000L;
        assertEquals(1, aboveLimit("acme"));
        nanos++;
        assertEquals(0.0, share("acme"));
        assertEquals(0, aboveLimit("acme"));
    }

    @Test
    void thereAreGaugesForFiveHundredTenantsAndRowsForAll() {
        for (int tenant = 0; tenant < 501; tenant++) {
            receive("tenant-" + tenant, BEGINNING, 100, 100);
        }
        assertEquals(2 * 500, gauges.all.size());
        assertEquals(501 * 100, changes.size());
    }

    private void receive(String tenantId, long appendTimeMs, int received, int refused) {
        for (int i = 0; i < received; i++) {
            shares.received(tenantId, appendTimeMs);
            if (i < refused) {
                shares.rejected(Reason.UNREADABLE, "", record(tenantId, appendTimeMs));
            }
        }
    }

    private static LogRecord record(String tenantId, long appendTimeMs) {
        LogRecord record = new LogRecord();
        record.tenantId = tenantId;
        record.topic = "a-topic";
        record.appendTimeMs = appendTimeMs;
        return record;
    }

    private double share(String tenantId) {
        return (Double) gauges.all.get("livelift.tenant." + tenantId + ".rejected_share").getValue();
    }

    private int aboveLimit(String tenantId) {
        return (Integer) gauges.all.get("livelift.tenant." + tenantId + ".rejected_share_above_limit").getValue();
    }

    /** Keeps gauges under the names by which they can be asked for. */
    private static final class Gauges extends UnregisteredMetricsGroup {
        private final String prefix;
        private final Map<String, Gauge<?>> all;

        Gauges(String prefix, Map<String, Gauge<?>> all) {
            this.prefix = prefix;
            this.all = all;
        }

        @Override
        public MetricGroup addGroup(String name) {
            return new Gauges(prefix + name + ".", all);
        }

        @Override
        public MetricGroup addGroup(String key, String value) {
            return addGroup(key).addGroup(value);
        }

        @Override
        public <T, G extends Gauge<T>> G gauge(String name, G gauge) {
            all.put(prefix + name, gauge);
            return gauge;
        }
    }
}

package io.livelift.attribution.flink;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Output;
import io.livelift.attribution.Reason;
import io.livelift.attribution.Series;
import io.livelift.attribution.SumDelta;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How many of a tenant's records are refused, as two gauges per tenant: {@code livelift.tenant.<id>.rejected_share}
 * (0 to 1) and {@code rejected_share_above_limit} (0 or 1). A tenant that goes above the limit is logged as a warning,
 * one that comes back as information; the job goes on.
 *
 * <p>The share is that of this task's records of the last two minutes of the tenant's append time, and 0 with fewer
 * than {@value #FEWEST} of them or after two minutes without any. Duplicates are not counted as refused: producers that
 * send again are welcome.
 *
 * <p>The task counts; other threads may read the gauges.
 */
final class RejectedShares implements Output {
    /** More tenants than a dashboard can show; the others are counted in the ledger only. */
    static final int MOST_TENANTS = 500;

    /** A share of less than this says nothing. */
    static final int FEWEST = 100;

    static final long BUCKET_MS = 10_000;
    static final int BUCKETS = 12;
    private static final long WINDOW_NANOS = Duration.ofMillis(BUCKET_MS * BUCKETS).toNanos();

    private static final Logger LOG = LoggerFactory.getLogger(RejectedShares.class);

    private final MetricGroup metrics;
    private final int percentLimit;
    private final Output output;
    private final LongSupplier nanoClock;
    private final Map<String, Tenant> tenants = new HashMap<>();

    /**
     * @param output gets everything
     * @param nanoClock as {@link System#nanoTime}
     */
    RejectedShares(MetricGroup metrics, int percentLimit, Output output, LongSupplier nanoClock) {
        this.metrics = metrics;
        this.percentLimit = percentLimit;
        this.output = output;
        this.nanoClock = nanoClock;
    }

    /** To be called for each record of a tenant before it is decided. */
    void received(String tenantId, long appendTimeMs) {
        Tenant tenant = tenant(tenantId);
        if (tenant != null) {
            tenant.received(appendTimeMs);
        }
    }

    @Override
    public void rejected(Reason reason, String detail, LogRecord record) {
        Tenant tenant = reason == Reason.DUPLICATE ? null : tenant(record.tenantId);
        if (tenant != null) {
            tenant.refused(record.appendTimeMs);
        }
        output.rejected(reason, detail, record);
    }

    @Override
    public void delta(Series series, long cohortMs, long n, SumDelta sums, long appendTimeMs) {
        output.delta(series, cohortMs, n, sums, appendTimeMs);
    }

    private Tenant tenant(String tenantId) {
        Tenant tenant = tenants.get(tenantId);
        if (tenant == null && tenants.size() < MOST_TENANTS) {
            tenant = new Tenant(tenantId);
            tenants.put(tenantId, tenant);
            MetricGroup group = metrics.addGroup("livelift").addGroup("tenant", tenantId);
            group.gauge("rejected_share", (Gauge<Double>) tenant::share);
            group.gauge("rejected_share_above_limit", (Gauge<Integer>) tenant::aboveLimit);
        }
        return tenant;
    }

    /** The counts of one tenant by tenths of a minute, in a ring; both totals in one number, so that they fit. */
    private final class Tenant {
        private final String id;
        private final int[] received = new int[BUCKETS];
        private final int[] refused = new int[BUCKETS];
        private long newestBucket = Long.MIN_VALUE;
        private boolean isReported;
        private volatile long totals;
        private volatile long lastSeenNanos;

        Tenant(String id) {
            this.id = id;
        }

        void received(long appendTimeMs) {
            long bucket = Math.floorDiv(appendTimeMs, BUCKET_MS);
            if (bucket > newestBucket) {
                turnTo(bucket);
            }
            if (bucket > newestBucket - BUCKETS) {
                received[(int) Math.floorMod(bucket, BUCKETS)]++;
                totals = totals + (1L << 32);
            }
            lastSeenNanos = nanoClock.getAsLong();
        }

        /** Of a record that was received; one that waited until its bucket was gone is of no share any more. */
        void refused(long appendTimeMs) {
            long bucket = Math.floorDiv(appendTimeMs, BUCKET_MS);
            if (bucket <= newestBucket && bucket > newestBucket - BUCKETS) {
                refused[(int) Math.floorMod(bucket, BUCKETS)]++;
                totals = totals + 1;
                if (!isReported && isAbove(totals)) {
                    isReported = true;
                    LOG.warn("tenant {}: {} of the records are refused (limit {} %)", id, percent(), percentLimit);
                }
            }
        }

        private void turnTo(long bucket) {
            long first = Math.max(newestBucket + 1, bucket - BUCKETS + 1);
            long left = totals;
            for (long each = first; each <= bucket; each++) {
                int place = (int) Math.floorMod(each, BUCKETS);
                left -= ((long) received[place] << 32) + refused[place];
                received[place] = 0;
                refused[place] = 0;
            }
            totals = left;
            newestBucket = bucket;
            // Here only, so that a share about the limit fills no log.
            if (isReported && !isAbove(left)) {
                isReported = false;
                LOG.info("tenant {}: {} of the records are refused, within the limit again", id, percent());
            }
        }

        private String percent() {
            return Math.round(100 * share(totals)) + " %";
        }

        double share() {
            return isSilent() ? 0 : share(totals);
        }

        int aboveLimit() {
            return !isSilent() && isAbove(totals) ? 1 : 0;
        }

        private boolean isSilent() {
            return nanoClock.getAsLong() - lastSeenNanos > WINDOW_NANOS;
        }

        private double share(long totals) {
            int all = (int) (totals >>> 32);
            return all < FEWEST ? 0 : (double) (int) totals / all;
        }

        private boolean isAbove(long totals) {
            return 100 * share(totals) > percentLimit;
        }
    }
}

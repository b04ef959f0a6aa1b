package io.livelift.attribution.flink;

import java.time.Clock;
import java.time.Instant;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * {@code emission_version()}: a number that grows with every row a task emits, so that of two rows with the same key
 * the later one wins in a table that keeps the greatest version.
 *
 * <p>The rebuild epoch stands in the bits from 2^52 up, the emission time in microseconds since 1970 below: a history
 * rebuilt with a higher epoch supersedes the old one whatever the clocks say. Within a task the number never repeats nor
 * falls, even when the clock is set back. After a restart it starts from the new task's clock: for as long as that one
 * is behind the old one's, new rows lose against the last row of their key.
 */
public final class EmissionVersion extends ScalarFunction {
    static final int TIME_BITS = 52;

    /** The greatest that leaves the number positive. */
    static final int GREATEST_EPOCH = 2047;

    private transient Clock clock;
    private transient long epochBits;
    private transient long lastMicros;

    @Override
    public void open(FunctionContext context) {
        start(JobParameters.of(name -> context.getJobParameter(name, null)).epoch(), Clock.systemUTC());
    }

    void start(long epoch, Clock clock) {
        if (epoch < 0 || epoch > GREATEST_EPOCH) {
            throw new IllegalArgumentException("epoch " + epoch + " is not in 0.." + GREATEST_EPOCH);
        }
        this.clock = clock;
        this.epochBits = epoch << TIME_BITS;
        this.lastMicros = 0;
    }

    public @DataTypeHint("BIGINT NOT NULL") long eval() {
        Instant now = clock.instant();
        lastMicros = Math.max(lastMicros + 1, now.getEpochSecond() * 1_000_000 + now.getNano() / 1_000);
        return epochBits | lastMicros;
    }

    /** Or the planner would evaluate it once, before the job starts. */
    @Override
    public boolean isDeterministic() {
        return false;
    }
}

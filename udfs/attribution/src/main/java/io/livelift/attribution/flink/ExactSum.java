package io.livelift.attribution.flink;

import io.livelift.attribution.SumDelta;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * {@code exact_sum(sums)}: the exact total of fourteen sums at once, in and out as the bytes of {@link SumDelta}.
 *
 * <p>Adds, takes back and merges, so it works in local and global aggregation and over changing rows. Null counts as
 * all zero. A total beyond 192 bits fails the job; nothing wraps.
 */
@FunctionHint(
        accumulator = @DataTypeHint(value = "RAW", bridgedTo = SumDelta.class, rawSerializer = SumDeltaSerializer.class),
        output = @DataTypeHint("BYTES NOT NULL"))
public final class ExactSum extends AggregateFunction<byte[], SumDelta> {
    @Override
    public SumDelta createAccumulator() {
        return new SumDelta();
    }

    public void accumulate(SumDelta total, @DataTypeHint("BYTES") byte[] sums) {
        if (sums != null) {
            total.add(sums);
        }
    }

    public void retract(SumDelta total, @DataTypeHint("BYTES") byte[] sums) {
        if (sums != null) {
            total.subtract(sums);
        }
    }

    public void merge(SumDelta total, Iterable<SumDelta> others) {
        for (SumDelta other : others) {
            total.add(other);
        }
    }

    @Override
    public byte[] getValue(SumDelta total) {
        return total.toBytes();
    }
}

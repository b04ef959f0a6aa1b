package io.livelift.attribution.flink;

import io.livelift.attribution.SumDelta;
import java.math.BigInteger;
import java.util.StringJoiner;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * {@code sum_numbers(sums)}: the fourteen sums in the bytes of {@link SumDelta} as numbers, in order, with commas
 * between them: the inside of a JSON array. Null counts as all zero.
 */
public final class SumNumbers extends ScalarFunction {
    public @DataTypeHint("STRING NOT NULL") String eval(@DataTypeHint("BYTES") byte[] sums) {
        StringJoiner numbers = new StringJoiner(",");
        for (BigInteger sum : SumDelta.decode(sums == null ? new byte[0] : sums)) {
            numbers.add(sum.toString());
        }
        return numbers.toString();
    }
}

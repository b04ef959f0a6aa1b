package io.livelift.attribution.flink;

import io.livelift.attribution.SumDelta;
import java.math.BigInteger;
import java.util.StringJoiner;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * {@code sums_text(sums)}: the fourteen sums as decimal integers with commas between, for readers without a decoder.
 *
 * <p>Null gives null. Bytes that are no sums fail the job.
 */
public final class SumsText extends ScalarFunction {
    public @DataTypeHint("STRING") String eval(@DataTypeHint("BYTES") byte[] sums) {
        if (sums == null) {
            return null;
        }
        StringJoiner text = new StringJoiner(",");
        for (BigInteger sum : SumDelta.decode(sums)) {
            text.add(sum.toString());
        }
        return text.toString();
    }
}

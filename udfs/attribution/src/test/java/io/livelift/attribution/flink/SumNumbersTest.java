package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.livelift.attribution.SumDelta;
import org.junit.jupiter.api.Test;

class SumNumbersTest {
    private static final byte[] THREE_AND_MINUS_300 = {0b1001, 0, 1, 3, 2, (byte) 0xd4, (byte) 0xfe};
    private static final String ZEROS = "0,0,0,0,0,0,0,0,0,0,0,0,0,0";

    @Test
    void everySumHasItsPlace() {
        assertEquals("3,0,0,-300,0,0,0,0,0,0,0,0,0,0", new SumNumbers().eval(THREE_AND_MINUS_300));
    }

    @Test
    void noBytesAndNoneAtAllAreZeros() {
        assertEquals(ZEROS, new SumNumbers().eval(new SumDelta().toBytes()));
        assertEquals(ZEROS, new SumNumbers().eval(null));
    }
}

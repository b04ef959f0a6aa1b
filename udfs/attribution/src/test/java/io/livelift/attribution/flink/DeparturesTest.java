package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class DeparturesTest {
    private static final long NOW = 1_000_000;
    private final Departures departures = new Departures(10, 2000, 30_000);

    @Test
    void fewLeaveAtOnce() {
        for (int second = 0; second < 100; second++) {
            for (int each = 0; each < 10; each++) {
                long now = NOW + second * 1000;
                assertTrue(departures.next(now) <= now);
            }
        }
    }

    @Test
    void whatWasNotUsedOfTheRateMayBeUsedForAWhileAndThenEachHasItsTurn() {
        for (int each = 0; each <= 20; each++) {
            assertTrue(departures.next(NOW) <= NOW, "two seconds' worth");
        }
        assertEquals(NOW + 100, departures.next(NOW));
        assertEquals(NOW + 200, departures.next(NOW));
        assertEquals(NOW + 300, departures.next(NOW + 150));
    }

    @Test
    void nobodyWaitsLongerThanTheMost() {
        long last = 0;
        for (int each = 0; each < 1000; each++) {
            last = departures.next(NOW);
        }
        assertEquals(NOW + 30_000, last);
        assertEquals(NOW + 30_100, departures.next(NOW + 1000), "the queue is as long as before, not longer");
    }

    @Test
    void whoeverCameBeforeARestartLeavesFirst() {
        departures.after(NOW + 5000);
        assertEquals(NOW + 5100, departures.next(NOW));
    }
}

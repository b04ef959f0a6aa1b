package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import org.junit.jupiter.api.Test;

class EmissionVersionTest {
    private static final Instant NOW = Instant.parse("2026-01-01T00:00:00.000001Z");
    private static final long NOW_MICROS = 1_767_225_600_000_001L;

    @Test
    void theFirstVersionIsTheTimeInMicrosecondsUnderTheEpoch() {
        assertEquals(NOW_MICROS, at(0, NOW).eval());
        assertEquals((3L << 52) + NOW_MICROS, at(3, NOW).eval());
    }

    @Test
    void twoRowsOfOneInstantHaveDifferentVersions() {
        EmissionVersion version = at(0, NOW);
        version.eval();
        assertEquals(NOW_MICROS + 1, version.eval());
    }

    @Test
    void aClockThatIsSetBackDoesNotTakeTheVersionWithIt() {
        Instant[] now = {NOW};
        EmissionVersion version = new EmissionVersion();
        version.start(0, new Clock() {
            @Override
            public Instant instant() {
                return now[0];
            }

            @Override
            public ZoneOffset getZone() {
                return ZoneOffset.UTC;
            }

            @Override
            public Clock withZone(java.time.ZoneId zone) {
                return this;
            }
        });
        long before = version.eval();
        now[0] = NOW.minus(1, ChronoUnit.HOURS);
        assertEquals(before + 1, version.eval());
    }

    @Test
    void aRebuiltHistorySupersedesTheOldOneWhateverTheClocksSay() {
        assertTrue(at(1, Instant.EPOCH).eval() > at(0, Instant.parse("2100-01-01T00:00:00Z")).eval());
        assertTrue(at(EmissionVersion.GREATEST_EPOCH, Instant.parse("2100-01-01T00:00:00Z")).eval() > 0);
    }

    @Test
    void anEpochThatDoesNotFitIsRefused() {
        assertThrows(IllegalArgumentException.class, () -> at(-1, NOW));
        assertThrows(IllegalArgumentException.class, () -> at(EmissionVersion.GREATEST_EPOCH + 1, NOW));
    }

    @Test
    void thePlannerMustNotEvaluateIt() {
        assertFalse(new EmissionVersion().isDeterministic());
    }

    private static EmissionVersion at(long epoch, Instant now) {
        EmissionVersion version = new EmissionVersion();
        version.start(epoch, Clock.fixed(now, ZoneOffset.UTC));
        return version;
    }
}

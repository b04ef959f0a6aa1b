package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class AlarmTest {
    private static final byte[] KEY = "Größe 😀".getBytes(StandardCharsets.UTF_8);

    @Test
    void anAlarmTellsWhenAndWhoseUnitAndWhich() {
        for (String tenantId : new String[] {"a", "a-tenant-of-the-greatest-length-00000-40"}) {
            byte[] alarm = Alarm.bytes(-1_767_225_600_000L, tenantId, KEY);
            assertEquals(-1_767_225_600_000L, Alarm.wakeAtMs(alarm));
            assertEquals(tenantId, Alarm.tenantId(alarm));
            assertArrayEquals(KEY, Alarm.unitKey(alarm));
        }
    }

    @Test
    void itTakesNineBytesMoreThanTheIds() {
        assertEquals(9 + 4 + KEY.length, Alarm.bytes(0, "acme", KEY).length);
    }
}

package io.livelift.attribution.flink;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * When a unit must be woken and what its timer does not tell: whose unit it is and which. As bytes, because every unit
 * has one: eight with the time, one with the length of the tenant's id, the id, then the unit's key.
 */
final class Alarm {
    private static final int TENANT_ID = Long.BYTES + 1;

    private Alarm() {}

    /** @param tenantId ASCII, at most 40 characters */
    static byte[] bytes(long wakeAtMs, String tenantId, byte[] unitKey) {
        byte[] tenant = tenantId.getBytes(StandardCharsets.US_ASCII);
        return ByteBuffer.allocate(TENANT_ID + tenant.length + unitKey.length)
                .putLong(wakeAtMs)
                .put((byte) tenant.length)
                .put(tenant)
                .put(unitKey)
                .array();
    }

    static long wakeAtMs(byte[] alarm) {
        return ByteBuffer.wrap(alarm).getLong();
    }

    static String tenantId(byte[] alarm) {
        return new String(alarm, TENANT_ID, alarm[TENANT_ID - 1], StandardCharsets.US_ASCII);
    }

    static byte[] unitKey(byte[] alarm) {
        return Arrays.copyOfRange(alarm, TENANT_ID + alarm[TENANT_ID - 1], alarm.length);
    }
}

package io.livelift.attribution.flink;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/**
 * Whose unit it is and which: what Flink partitions records by and files their state under.
 *
 * <p>As bytes: one with the length of the tenant's id, the id, one that says whether the record had a key, the key. The
 * bytes and the hash are part of every savepoint: another form needs a rebuild.
 */
final class UnitKey {
    static final TypeInformation<UnitKey> TYPE = new SerializedBy<>(UnitKey.class, new UnitKeySerializer());

    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long FACTOR = 0x9E3779B97F4A7C15L;

    private final byte[] bytes;
    private final int hash;

    UnitKey(byte[] bytes) {
        this.bytes = bytes;
        this.hash = hash(bytes);
    }

    /**
     * @param tenantId ASCII, at most 40 characters
     * @param key null if the record has none
     */
    @SuppressWarnings("deprecation") // the one way to copy ASCII without an array between
    static UnitKey of(String tenantId, byte[] key) {
        int tenant = tenantId.length();
        byte[] bytes = new byte[tenant + 2 + (key == null ? 0 : key.length)];
        bytes[0] = (byte) tenant;
        tenantId.getBytes(0, tenant, bytes, 1);
        if (key != null) {
            bytes[tenant + 1] = 1;
            System.arraycopy(key, 0, bytes, tenant + 2, key.length);
        }
        return new UnitKey(bytes);
    }

    String tenantId() {
        return new String(bytes, 1, bytes[0], StandardCharsets.US_ASCII);
    }

    /** The record's key; null if it had none. */
    byte[] key() {
        int at = bytes[0] + 1;
        return bytes[at] == 0 ? null : Arrays.copyOfRange(bytes, at + 1, bytes.length);
    }

    byte[] bytes() {
        return bytes;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof UnitKey unit && hash == unit.hash && Arrays.equals(bytes, unit.bytes);
    }

    @Override
    public int hashCode() {
        return hash;
    }

    private static int hash(byte[] bytes) {
        long mixed = bytes.length;
        int at = 0;
        for (; at + 8 <= bytes.length; at += 8) {
            mixed = mixed((mixed ^ (long) LONGS.get(bytes, at)) * FACTOR);
        }
        long rest = 0;
        for (; at < bytes.length; at++) {
            rest = rest << 8 | bytes[at] & 0xff;
        }
        mixed = mixed((mixed ^ rest) * FACTOR);
        return (int) mixed;
    }

    private static long mixed(long bits) {
        return bits ^ bits >>> 32;
    }
}

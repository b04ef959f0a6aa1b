package io.livelift.attribution.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/**
 * Whose unit it is and which. As bytes: one with the length of the tenant's id, the id, one that says whether the record
 * had a key, the key.
 */
final class UnitKey extends BytesKey {
    static final TypeInformation<UnitKey> TYPE = new SerializedBy<>(UnitKey.class, new UnitKeySerializer());

    UnitKey(byte[] bytes) {
        super(bytes);
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
        byte[] bytes = bytes();
        return new String(bytes, 1, bytes[0], StandardCharsets.US_ASCII);
    }

    /** The record's key; null if it had none. */
    byte[] key() {
        byte[] bytes = bytes();
        int at = bytes[0] + 1;
        return bytes[at] == 0 ? null : Arrays.copyOfRange(bytes, at + 1, bytes.length);
    }
}

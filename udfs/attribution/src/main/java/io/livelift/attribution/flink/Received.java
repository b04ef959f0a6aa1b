package io.livelift.attribution.flink;

import org.apache.flink.api.common.typeinfo.TypeInformation;

/**
 * A record of a tenant's topic on its way to the task of its unit. Never modified.
 *
 * @param key null where the record had none, as {@code value}
 */
record Received(TenantTopic topic, int partition, long offset, long appendTimeMs, byte[] key, byte[] value) {
    static final TypeInformation<Received> TYPE = new SerializedBy<>(Received.class, new ReceivedSerializer());

    UnitKey unit() {
        return UnitKey.of(topic.tenantId(), key);
    }
}

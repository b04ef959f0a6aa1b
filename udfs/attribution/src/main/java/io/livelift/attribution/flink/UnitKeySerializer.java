package io.livelift.attribution.flink;

import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;

final class UnitKeySerializer extends BytesKey.Serializer<UnitKey> {
    private static final long serialVersionUID = 1;

    @Override
    UnitKey key(byte[] bytes) {
        return new UnitKey(bytes);
    }

    @Override
    public TypeSerializerSnapshot<UnitKey> snapshotConfiguration() {
        return new Snapshot();
    }

    public static final class Snapshot extends SimpleTypeSerializerSnapshot<UnitKey> {
        public Snapshot() {
            super(UnitKeySerializer::new);
        }
    }
}

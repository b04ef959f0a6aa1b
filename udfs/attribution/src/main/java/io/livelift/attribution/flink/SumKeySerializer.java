package io.livelift.attribution.flink;

import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;

final class SumKeySerializer extends BytesKey.Serializer<SumKey> {
    private static final long serialVersionUID = 1;

    @Override
    SumKey key(byte[] bytes) {
        return new SumKey(bytes);
    }

    @Override
    public TypeSerializerSnapshot<SumKey> snapshotConfiguration() {
        return new Snapshot();
    }

    public static final class Snapshot extends SimpleTypeSerializerSnapshot<SumKey> {
        public Snapshot() {
            super(SumKeySerializer::new);
        }
    }
}

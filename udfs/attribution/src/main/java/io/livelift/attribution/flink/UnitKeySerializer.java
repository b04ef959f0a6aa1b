package io.livelift.attribution.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Keys as four bytes with their length, then their bytes: the form in savepoints. */
final class UnitKeySerializer extends OwnSerializer<UnitKey> {
    private static final long serialVersionUID = 1;

    @Override
    public void serialize(UnitKey key, DataOutputView out) throws IOException {
        out.writeInt(key.bytes().length);
        out.write(key.bytes());
    }

    @Override
    public UnitKey deserialize(DataInputView in) throws IOException {
        byte[] bytes = new byte[in.readInt()];
        in.readFully(bytes);
        return new UnitKey(bytes);
    }

    @Override
    public UnitKey createInstance() {
        return UnitKey.of("", null);
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

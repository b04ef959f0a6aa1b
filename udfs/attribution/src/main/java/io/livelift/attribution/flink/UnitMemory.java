package io.livelift.attribution.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * The engine's bytes of a unit, with room to grow. Changed in place, because an array that is replaced at each event has
 * been moved to the old generation by then, and taking it out of there is what garbage collection costs most for.
 */
final class UnitMemory {
    private byte[] bytes;
    private int length;

    UnitMemory(byte[] state) {
        bytes = new byte[withRoom(state.length)];
        set(state);
    }

    byte[] bytes() {
        return bytes;
    }

    /** How many of the bytes are the unit's. */
    int length() {
        return length;
    }

    void set(byte[] state) {
        if (state.length > bytes.length || 2 * state.length < bytes.length) {
            bytes = new byte[withRoom(state.length)];
        }
        System.arraycopy(state, 0, bytes, 0, state.length);
        length = state.length;
    }

    private static int withRoom(int length) {
        return length + length / 8 + 8;
    }

    /** Four bytes with the length, then the bytes: the form in savepoints, that of any array of bytes. */
    static final class Serializer extends OwnSerializer<UnitMemory> {
        private static final long serialVersionUID = 1;

        @Override
        public void serialize(UnitMemory unit, DataOutputView out) throws IOException {
            out.writeInt(unit.length);
            out.write(unit.bytes, 0, unit.length);
        }

        @Override
        public UnitMemory deserialize(DataInputView in) throws IOException {
            byte[] state = new byte[in.readInt()];
            in.readFully(state);
            return new UnitMemory(state);
        }

        @Override
        public boolean isImmutableType() {
            return false;
        }

        @Override
        public UnitMemory createInstance() {
            return new UnitMemory(new byte[0]);
        }

        @Override
        public UnitMemory copy(UnitMemory from) {
            byte[] state = new byte[from.length];
            System.arraycopy(from.bytes, 0, state, 0, from.length);
            return new UnitMemory(state);
        }

        @Override
        public TypeSerializerSnapshot<UnitMemory> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    public static final class Snapshot extends SimpleTypeSerializerSnapshot<UnitMemory> {
        public Snapshot() {
            super(Serializer::new);
        }
    }
}

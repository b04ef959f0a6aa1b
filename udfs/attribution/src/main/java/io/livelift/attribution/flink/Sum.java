package io.livelift.attribution.flink;

import io.livelift.attribution.SumDelta;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** All changes of a key, added up. Changed in place. */
final class Sum {
    final SumDelta sums = new SumDelta();
    long n;
    long countedAtMs;

    /** How many changes there were. */
    long updates;

    /** Whether it has changed since it was told, and waits for its timer. */
    boolean isHeld;

    void add(SumChange change) {
        sums.add(change.sums());
        n += change.n();
        countedAtMs = Math.max(countedAtMs, change.countedAtMs());
        updates++;
    }

    void add(Sum other) {
        sums.add(other.sums);
        n += other.n;
        countedAtMs = Math.max(countedAtMs, other.countedAtMs);
        updates += other.updates;
    }

    /**
     * One byte with the form's version, then the form. The class's name is in savepoints; a new form gets a new version
     * byte, not a new class.
     */
    static final class Serializer extends OwnSerializer<Sum> {
        private static final long serialVersionUID = 1;
        private static final int VERSION = 1;

        @Override
        public void serialize(Sum sum, DataOutputView out) throws IOException {
            byte[] sums = sum.sums.toBytes();
            out.writeByte(VERSION);
            out.writeBoolean(sum.isHeld);
            out.writeLong(sum.n);
            out.writeLong(sum.countedAtMs);
            out.writeLong(sum.updates);
            out.writeShort(sums.length);
            out.write(sums);
        }

        /** @throws IOException if a later version wrote the bytes */
        @Override
        public Sum deserialize(DataInputView in) throws IOException {
            int version = in.readUnsignedByte();
            if (version != VERSION) {
                throw new IOException("a sum in form " + version + ", which this version cannot read");
            }
            Sum sum = new Sum();
            sum.isHeld = in.readBoolean();
            sum.n = in.readLong();
            sum.countedAtMs = in.readLong();
            sum.updates = in.readLong();
            byte[] sums = new byte[in.readUnsignedShort()];
            in.readFully(sums);
            sum.sums.add(sums);
            return sum;
        }

        @Override
        public boolean isImmutableType() {
            return false;
        }

        @Override
        public Sum createInstance() {
            return new Sum();
        }

        @Override
        public Sum copy(Sum from) {
            Sum copy = new Sum();
            copy.add(from);
            copy.isHeld = from.isHeld;
            return copy;
        }

        @Override
        public TypeSerializerSnapshot<Sum> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Sum> {
        public Snapshot() {
            super(Serializer::new);
        }
    }
}

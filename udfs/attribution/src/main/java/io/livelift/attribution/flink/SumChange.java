package io.livelift.attribution.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;

/**
 * On its way from the task of a unit to the task of a sum: what is to be added to it; or a refused record, which travels
 * along and is part of no sum. Never modified.
 *
 * @param countedAtMs newest append time of what was counted in
 * @param refused a row of {@link CountedRows#REFUSED}; null where something is counted
 */
record SumChange(SumKey key, long n, byte[] sums, long countedAtMs, RowData refused) {
    static final TypeInformation<SumChange> TYPE = new SerializedBy<>(SumChange.class, new Serializer());

    private static final byte[] NO_SUMS = {};

    static SumChange counted(SumKey key, long n, byte[] sums, long countedAtMs) {
        return new SumChange(key, n, sums, countedAtMs, null);
    }

    static SumChange refused(SumKey key, long appendTimeMs, RowData refused) {
        return new SumChange(key, 0, NO_SUMS, appendTimeMs, refused);
    }

    /** Changes between tasks. They live there for moments only, so the form may change with any release. */
    static final class Serializer extends OwnSerializer<SumChange> {
        private static final long serialVersionUID = 1;

        private final SumKeySerializer keys = new SumKeySerializer();
        private final RowDataSerializer refused = new RowDataSerializer(CountedRows.REFUSED);

        @Override
        public void serialize(SumChange change, DataOutputView out) throws IOException {
            keys.serialize(change.key, out);
            out.writeLong(change.n);
            out.writeShort(change.sums.length);
            out.write(change.sums);
            out.writeLong(change.countedAtMs);
            out.writeBoolean(change.refused != null);
            if (change.refused != null) {
                refused.serialize(change.refused, out);
            }
        }

        @Override
        public SumChange deserialize(DataInputView in) throws IOException {
            SumKey key = keys.deserialize(in);
            long n = in.readLong();
            byte[] sums = new byte[in.readUnsignedShort()];
            in.readFully(sums);
            return new SumChange(key, n, sums, in.readLong(), in.readBoolean() ? refused.deserialize(in) : null);
        }

        /** What writes rows has a buffer, so each task has its own. */
        @Override
        public Serializer duplicate() {
            return new Serializer();
        }

        @Override
        public SumChange createInstance() {
            return counted(new SumKey(new byte[0]), 0, NO_SUMS, 0);
        }

        @Override
        public TypeSerializerSnapshot<SumChange> snapshotConfiguration() {
            return new Snapshot();
        }
    }

    public static final class Snapshot extends SimpleTypeSerializerSnapshot<SumChange> {
        public Snapshot() {
            super(Serializer::new);
        }
    }
}

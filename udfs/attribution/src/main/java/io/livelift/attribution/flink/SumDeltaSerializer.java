package io.livelift.attribution.flink;

import io.livelift.attribution.SumDelta;
import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * Writes a running total into state and between tasks: one byte with the form's version, two with the length, then the
 * wire form of {@link SumDelta}.
 *
 * <p>The class's name is in savepoints and in the compiled plan; a new form gets a new version byte, not a new class.
 */
public final class SumDeltaSerializer extends OwnSerializer<SumDelta> {
    private static final int VERSION = 1;

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public SumDelta createInstance() {
        return new SumDelta();
    }

    @Override
    public SumDelta copy(SumDelta from) {
        SumDelta copy = new SumDelta();
        copy.add(from);
        return copy;
    }

    @Override
    public void serialize(SumDelta total, DataOutputView target) throws IOException {
        write(total.toBytes(), target);
    }

    /** @throws IOException if a later version wrote the bytes */
    @Override
    public SumDelta deserialize(DataInputView source) throws IOException {
        SumDelta total = new SumDelta();
        total.add(read(source));
        return total;
    }

    private static void write(byte[] sums, DataOutputView target) throws IOException {
        target.writeByte(VERSION);
        target.writeShort(sums.length);
        target.write(sums);
    }

    private static byte[] read(DataInputView source) throws IOException {
        int version = source.readUnsignedByte();
        if (version != VERSION) {
            throw new IOException("sums in form " + version + ", which this version cannot read");
        }
        byte[] sums = new byte[source.readUnsignedShort()];
        source.readFully(sums);
        return sums;
    }

    @Override
    public TypeSerializerSnapshot<SumDelta> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Says that every version of this serializer reads every earlier form. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<SumDelta> {
        public Snapshot() {
            super(SumDeltaSerializer::new);
        }
    }
}

package io.livelift.attribution.flink;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Records between tasks. They live there for moments only, so the form may change with any release. */
final class ReceivedSerializer extends OwnSerializer<Received> {
    private static final long serialVersionUID = 1;
    private static final int NULL = -1;

    /** By the hash of their names; of two with one hash the last one seen. */
    private transient Map<Integer, TenantTopic> topics;

    private transient byte[] name;

    @Override
    public void serialize(Received record, DataOutputView out) throws IOException {
        byte[] topic = record.topic().bytes();
        out.writeInt(record.topic().hash());
        out.writeShort(topic.length);
        out.write(topic);
        out.writeInt(record.partition());
        out.writeLong(record.offset());
        out.writeLong(record.appendTimeMs());
        write(record.key(), out);
        write(record.value(), out);
    }

    @Override
    public Received deserialize(DataInputView in) throws IOException {
        return new Received(topic(in), in.readInt(), in.readLong(), in.readLong(), read(in), read(in));
    }

    private static void write(byte[] bytes, DataOutputView out) throws IOException {
        out.writeInt(bytes == null ? NULL : bytes.length);
        if (bytes != null) {
            out.write(bytes);
        }
    }

    private static byte[] read(DataInputView in) throws IOException {
        int length = in.readInt();
        if (length == NULL) {
            return null;
        }
        byte[] bytes = new byte[length];
        in.readFully(bytes);
        return bytes;
    }

    private TenantTopic topic(DataInputView in) throws IOException {
        if (topics == null) {
            topics = new HashMap<>();
            name = new byte[Short.MAX_VALUE];
        }
        int hash = in.readInt();
        int length = in.readShort();
        in.readFully(name, 0, length);
        TenantTopic topic = topics.get(hash);
        if (topic == null || !Arrays.equals(topic.bytes(), 0, topic.bytes().length, name, 0, length)) {
            topic = TenantTopic.of(Arrays.copyOf(name, length));
            topics.put(hash, topic);
        }
        return topic;
    }

    /** It remembers topics, so each task has its own. */
    @Override
    public ReceivedSerializer duplicate() {
        return new ReceivedSerializer();
    }

    @Override
    public Received createInstance() {
        return new Received(TenantTopic.of(""), 0, 0, 0, null, null);
    }

    @Override
    public TypeSerializerSnapshot<Received> snapshotConfiguration() {
        return new Snapshot();
    }

    public static final class Snapshot extends SimpleTypeSerializerSnapshot<Received> {
        public Snapshot() {
            super(ReceivedSerializer::new);
        }
    }
}

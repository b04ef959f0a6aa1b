package io.livelift.attribution.flink;

import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * A key that is its bytes: what Flink partitions by and files state under. The bytes and the hash are part of every
 * savepoint: another form needs a rebuild.
 */
abstract class BytesKey {
    private static final VarHandle LONGS = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long FACTOR = 0x9E3779B97F4A7C15L;

    private final byte[] bytes;
    private final int hash;

    BytesKey(byte[] bytes) {
        this.bytes = bytes;
        this.hash = hash(bytes);
    }

    /** Not to be changed. */
    final byte[] bytes() {
        return bytes;
    }

    @Override
    public final boolean equals(Object other) {
        return other != null
                && getClass() == other.getClass()
                && hash == ((BytesKey) other).hash
                && Arrays.equals(bytes, ((BytesKey) other).bytes);
    }

    @Override
    public final int hashCode() {
        return hash;
    }

    private static int hash(byte[] bytes) {
        long mixed = bytes.length;
        int at = 0;
        for (; at + 8 <= bytes.length; at += 8) {
            mixed = mixed((mixed ^ (long) LONGS.get(bytes, at)) * FACTOR);
        }
        long rest = 0;
        for (; at < bytes.length; at++) {
            rest = rest << 8 | bytes[at] & 0xff;
        }
        mixed = mixed((mixed ^ rest) * FACTOR);
        return (int) mixed;
    }

    private static long mixed(long bits) {
        return bits ^ bits >>> 32;
    }

    /** Keys as four bytes with their length, then their bytes: the form in savepoints. */
    abstract static class Serializer<K extends BytesKey> extends OwnSerializer<K> {
        private static final long serialVersionUID = 1;

        abstract K key(byte[] bytes);

        @Override
        public final void serialize(K key, DataOutputView out) throws IOException {
            out.writeInt(key.bytes().length);
            out.write(key.bytes());
        }

        @Override
        public final K deserialize(DataInputView in) throws IOException {
            byte[] bytes = new byte[in.readInt()];
            in.readFully(bytes);
            return key(bytes);
        }

        @Override
        public final K createInstance() {
            return key(new byte[0]);
        }
    }
}

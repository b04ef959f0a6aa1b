package io.livelift.attribution;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;

/** Walks over one value in Avro's binary encoding. Reused; every method fails with {@link Unreadable} past the end. */
final class AvroReader {
    private static final VarHandle DOUBLES =
            MethodHandles.byteArrayViewVarHandle(double[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle FLOATS =
            MethodHandles.byteArrayViewVarHandle(float[].class, ByteOrder.LITTLE_ENDIAN);
    private static final int DEEPEST = 64;

    private byte[] buffer;
    private int at;

    void start(byte[] newBuffer, int from) {
        buffer = newBuffer;
        at = from;
    }

    /** An int or a long. */
    long integer() throws Unreadable {
        long value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            byte next = next();
            value |= (long) (next & 0x7f) << shift;
            if (next >= 0) {
                return value >>> 1 ^ -(value & 1);
            }
        }
        throw new Unreadable("a number is longer than ten bytes");
    }

    float floatingPoint() throws Unreadable {
        return (float) FLOATS.get(buffer, pass(4));
    }

    double doublePrecision() throws Unreadable {
        return (double) DOUBLES.get(buffer, pass(8));
    }

    boolean bool() throws Unreadable {
        return next() != 0;
    }

    /** A string or bytes that must be UTF-8. */
    void text(Slice slice) throws Unreadable {
        long length = integer();
        int from = pass(length);
        slice.set(buffer, from, at);
        if (Utf8.codePoints(slice) < 0) {
            throw new Unreadable("a string is not UTF-8");
        }
    }

    /** The number of items in the next block of an array or a map; 0 at its end. */
    long blockItems() throws Unreadable {
        long items = integer();
        if (items < 0) {
            integer();
            items = -items;
        }
        return items;
    }

    /** The schema of the branch that follows. */
    Schema branch(Schema union) throws Unreadable {
        long index = integer();
        if (index < 0 || index >= union.getTypes().size()) {
            throw new Unreadable("a union has no branch " + index);
        }
        return union.getTypes().get((int) index);
    }

    void skip(Schema schema) throws Unreadable {
        skip(schema, 0);
    }

    private void skip(Schema schema, int depth) throws Unreadable {
        if (depth > DEEPEST) {
            throw new Unreadable("a value is nested deeper than " + DEEPEST);
        }
        switch (schema.getType()) {
            case NULL -> {}
            case BOOLEAN -> next();
            case INT, LONG, ENUM -> integer();
            case FLOAT -> pass(4);
            case DOUBLE -> pass(8);
            case STRING, BYTES -> pass(integer());
            case FIXED -> pass(schema.getFixedSize());
            case UNION -> skip(branch(schema), depth + 1);
            case RECORD -> {
                for (Schema.Field field : schema.getFields()) {
                    skip(field.schema(), depth + 1);
                }
            }
            case ARRAY -> skipBlocks(schema.getElementType(), false, depth);
            case MAP -> skipBlocks(schema.getValueType(), true, depth);
        }
    }

    private void skipBlocks(Schema item, boolean named, int depth) throws Unreadable {
        for (long items = blockItems(); items != 0; items = blockItems()) {
            for (long i = 0; i < items; i++) {
                int before = at;
                if (named) {
                    pass(integer());
                }
                skip(item, depth + 1);
                if (at == before) {
                    break; // items without bytes: however many are claimed, there is nothing to skip
                }
            }
        }
    }

    private byte next() throws Unreadable {
        if (at >= buffer.length) {
            throw new Unreadable("the value ends too early");
        }
        return buffer[at++];
    }

    /** Moves over a number of bytes; returns where they start. */
    private int pass(long length) throws Unreadable {
        if (length < 0 || length > buffer.length - at) {
            throw new Unreadable("the value ends too early");
        }
        int from = at;
        at += (int) length;
        return from;
    }
}

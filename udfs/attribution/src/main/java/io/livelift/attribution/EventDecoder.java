package io.livelift.attribution;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;

/**
 * Decodes events from the Confluent wire format: a zero byte, the writer schema's id as four bytes, Avro. Fields are
 * resolved by name from the writer's schema to ours, as Avro prescribes. Not thread-safe.
 */
public final class EventDecoder {
    private static final int HEADER = 5;

    private final SchemaSource schemas;
    private final AvroReader reader = new AvroReader();
    private final OfKind[] kinds = {new OfKind(EventKind.ASSIGNMENT), new OfKind(EventKind.OUTCOME)};

    public EventDecoder(SchemaSource schemas) {
        this.schemas = schemas;
    }

    /**
     * Decodes one value.
     *
     * @throws Unreadable if it is not an event of this kind
     * @throws RuntimeException if the registry cannot be reached
     */
    void decode(EventKind kind, byte[] value, Event event) throws Unreadable {
        if (value == null) {
            throw new Unreadable("the record has no value");
        }
        if (value.length < HEADER || value[0] != 0) {
            throw new Unreadable("the value does not begin with a zero byte and a schema id");
        }
        int id = (value[1] & 0xff) << 24 | (value[2] & 0xff) << 16 | (value[3] & 0xff) << 8 | value[4] & 0xff;
        reader.start(value, HEADER);
        kinds[kind.ordinal()].schema(id).read(reader, event);
    }

    /** The schema events of a kind are read with, as JSON. */
    static String readerSchema(EventKind kind) {
        String name = kind == EventKind.ASSIGNMENT ? "/avro/Assignment.avsc" : "/avro/Outcome.avsc";
        try (InputStream in = EventDecoder.class.getResourceAsStream(name)) {
            if (in == null) {
                throw new IllegalStateException("the jar lacks " + name);
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The writer schemas of one kind of events; the last one used is at hand. */
    private final class OfKind {
        private final Schema readerSchema;
        private final Map<Integer, WriterSchema> known = new HashMap<>();
        private final Map<Integer, Unreadable> refused = new HashMap<>();
        private int lastId = -1;
        private WriterSchema last;

        OfKind(EventKind kind) {
            readerSchema = new Schema.Parser().parse(readerSchema(kind));
        }

        WriterSchema schema(int id) throws Unreadable {
            if (id == lastId && last != null) {
                return last;
            }
            WriterSchema schema = known.get(id);
            if (schema == null) {
                schema = load(id);
            }
            lastId = id;
            last = schema;
            return schema;
        }

        private WriterSchema load(int id) throws Unreadable {
            Unreadable before = refused.get(id);
            if (before != null) {
                throw before;
            }
            String json = schemas.find(id);
            if (json == null) {
                throw new Unreadable("the registry knows no schema " + id);
            }
            try {
                WriterSchema schema = new WriterSchema(readerSchema, json);
                known.put(id, schema);
                return schema;
            } catch (Unreadable e) {
                refused.put(id, e);
                throw e;
            }
        }
    }
}

package io.livelift.attribution;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericDatumWriter;
import org.apache.flink.avro.shaded.org.apache.avro.io.BinaryEncoder;
import org.apache.flink.avro.shaded.org.apache.avro.io.EncoderFactory;

/** Events as producers write them: schema 1 is our Assignment, schema 2 our Outcome. */
final class Events {
    static final Schema ASSIGNMENT = new Schema.Parser().parse(EventDecoder.readerSchema(EventKind.ASSIGNMENT));
    static final Schema OUTCOME = new Schema.Parser().parse(EventDecoder.readerSchema(EventKind.OUTCOME));

    private Events() {}

    static String schema(int id) {
        return id == 1 ? ASSIGNMENT.toString() : id == 2 ? OUTCOME.toString() : null;
    }

    static GenericData.Record assignment(
            String unitId, String eventId, String experimentId, int version, String variantId, long assignedAt) {
        GenericData.Record event = event(ASSIGNMENT, unitId, eventId);
        event.put("experiment_id", experimentId);
        event.put("config_version", version);
        event.put("variant_id", variantId);
        event.put("assigned_at", assignedAt);
        event.put("attributes", Map.of());
        event.put("is_bot", false);
        return event;
    }

    static GenericData.Record outcome(String unitId, String eventId, String metricId, double value, long occurredAt) {
        GenericData.Record event = event(OUTCOME, unitId, eventId);
        event.put("metric_id", metricId);
        event.put("value", value);
        event.put("weight", 1.0);
        event.put("occurred_at", occurredAt);
        return event;
    }

    private static GenericData.Record event(Schema schema, String unitId, String eventId) {
        GenericData.Record event = new GenericData.Record(schema);
        event.put("tenant_id", "acme");
        event.put("unit_id", unitId);
        event.put("event_id", eventId);
        return event;
    }

    /** The value of a record: a zero byte, the schema's id, Avro. */
    static byte[] encode(int schemaId, GenericData.Record event) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(0);
        for (int shift = 24; shift >= 0; shift -= 8) {
            out.write(schemaId >> shift);
        }
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        try {
            new GenericDatumWriter<GenericData.Record>(event.getSchema()).write(event, encoder);
            encoder.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }
}

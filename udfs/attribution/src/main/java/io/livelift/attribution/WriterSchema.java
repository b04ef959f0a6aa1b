package io.livelift.attribution;

import java.util.EnumSet;
import java.util.List;
import org.apache.flink.avro.shaded.org.apache.avro.AvroRuntimeException;
import org.apache.flink.avro.shaded.org.apache.avro.Schema;
import org.apache.flink.avro.shaded.org.apache.avro.SchemaCompatibility;
import org.apache.flink.avro.shaded.org.apache.avro.SchemaCompatibility.SchemaCompatibilityType;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;

/** How values of one writer schema become events: its fields in order, each with the event's field it sets, if any. */
final class WriterSchema {
    private enum Target {
        TENANT_ID,
        UNIT_ID,
        EVENT_ID,
        EXPERIMENT_ID,
        CONFIG_VERSION,
        VARIANT_ID,
        ASSIGNED_AT,
        ATTRIBUTES,
        IS_BOT,
        METRIC_ID,
        VALUE,
        WEIGHT,
        OCCURRED_AT,
        NONE
    }

    private final Target[] targets;
    private final Schema[] schemas;
    private final EnumSet<Target> defaulted = EnumSet.noneOf(Target.class);
    private final Schema reader;
    private final Slice name = new Slice();
    private final Slice text = new Slice();

    /**
     * @param json the writer's schema
     * @throws Unreadable if it is no schema, or events cannot be resolved from it
     */
    WriterSchema(Schema reader, String json) throws Unreadable {
        this.reader = reader;
        Schema writer;
        try {
            writer = new Schema.Parser().parse(json);
        } catch (AvroRuntimeException e) {
            throw new Unreadable("the writer's schema is not Avro: " + e.getMessage());
        }
        if (SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getType()
                != SchemaCompatibilityType.COMPATIBLE) {
            throw new Unreadable(
                    "the writer's schema " + writer.getFullName() + " is not that of an " + reader.getName());
        }
        List<Schema.Field> fields = writer.getFields();
        targets = new Target[fields.size()];
        schemas = new Schema[fields.size()];
        for (int i = 0; i < targets.length; i++) {
            targets[i] = target(fields.get(i).name());
            schemas[i] = fields.get(i).schema();
        }
        for (Schema.Field field : reader.getFields()) {
            if (writer.getField(field.name()) == null) {
                defaulted.add(target(field.name()));
            }
        }
    }

    private Target target(String fieldName) {
        if (reader.getField(fieldName) != null) {
            for (Target target : Target.values()) {
                if (target.name().equalsIgnoreCase(fieldName)) {
                    return target;
                }
            }
        }
        return Target.NONE;
    }

    /** Sets all fields of the event's kind; one that the writer lacks gets the reader's default. */
    void read(AvroReader in, Event event) throws Unreadable {
        event.attributeCount = 0;
        for (int i = 0; i < targets.length; i++) {
            if (targets[i] == Target.NONE) {
                in.skip(schemas[i]);
            } else {
                read(in, schemas[i], targets[i], event);
            }
        }
        if (!defaulted.isEmpty()) {
            setDefaults(event);
        }
    }

    private void read(AvroReader in, Schema schema, Target target, Event event) throws Unreadable {
        switch (schema.getType()) {
            case STRING, BYTES -> in.text(slice(target, event));
            case INT, LONG -> setNumber(target, in.integer(), event);
            case DOUBLE -> setNumber(target, in.doublePrecision(), event);
            case FLOAT -> setNumber(target, in.floatingPoint(), event);
            case BOOLEAN -> event.isBot = in.bool();
            case MAP -> readAttributes(in, schema.getValueType(), event);
            case UNION -> read(in, in.branch(schema), target, event);
            default -> throw new Unreadable("a field is " + schema.getType().getName());
        }
    }

    private void readAttributes(AvroReader in, Schema valueSchema, Event event) throws Unreadable {
        for (long items = in.blockItems(); items != 0; items = in.blockItems()) {
            for (long i = 0; i < items; i++) {
                in.text(name);
                Schema schema = valueSchema.getType() == Schema.Type.UNION ? in.branch(valueSchema) : valueSchema;
                if (schema.getType() != Schema.Type.STRING && schema.getType() != Schema.Type.BYTES) {
                    throw new Unreadable("an attribute is " + schema.getType().getName());
                }
                in.text(text);
                event.addAttribute(name.from, name.to, text.from, text.to);
            }
        }
    }

    private static Slice slice(Target target, Event event) throws Unreadable {
        return switch (target) {
            case TENANT_ID -> event.tenantId;
            case UNIT_ID -> event.unitId;
            case EVENT_ID -> event.eventId;
            case EXPERIMENT_ID -> event.experimentId;
            case VARIANT_ID -> event.variantId;
            case METRIC_ID -> event.metricId;
            default -> throw new Unreadable(target + " is a string");
        };
    }

    private static void setNumber(Target target, long number, Event event) throws Unreadable {
        switch (target) {
            case CONFIG_VERSION -> {
                if (number != (int) number) {
                    throw new Unreadable(target + " does not fit 32 bits");
                }
                event.configVersion = (int) number;
            }
            case ASSIGNED_AT, OCCURRED_AT -> event.timeMs = number;
            default -> setNumber(target, (double) number, event);
        }
    }

    private static void setNumber(Target target, double number, Event event) throws Unreadable {
        switch (target) {
            case VALUE -> event.value = number;
            case WEIGHT -> event.weight = number;
            default -> throw new Unreadable(target + " is a number");
        }
    }

    private void setDefaults(Event event) throws Unreadable {
        for (Target target : defaulted) {
            switch (target) {
                case ATTRIBUTES, NONE -> {} // no attributes unless the record has some
                case IS_BOT -> event.isBot = (Boolean) defaultOf("is_bot");
                case CONFIG_VERSION -> event.configVersion = ((Number) defaultOf("config_version")).intValue();
                case VALUE -> event.value = ((Number) defaultOf("value")).doubleValue();
                case WEIGHT -> event.weight = ((Number) defaultOf("weight")).doubleValue();
                default -> throw new Unreadable(target + " has no default");
            }
        }
    }

    private Object defaultOf(String field) {
        return GenericData.get().getDefaultValue(reader.getField(field));
    }
}

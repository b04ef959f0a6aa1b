package io.livelift.attribution;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** Reads definitions as they lie on the definitions topic: JSON with every default filled in. */
public final class DefinitionReader {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final double DAY_MS = 86_400_000;
    private static final double HOUR_MS = 3_600_000;
    private static final double MICROS = 1e6;

    private DefinitionReader() {}

    /**
     * The definition in a record's value. Days become milliseconds and caps micro-units, rounded half to even.
     *
     * @param appendTimeMs the record's timestamp
     * @throws IllegalArgumentException naming the field that is missing or of the wrong type
     */
    public static Definition read(byte[] json, long appendTimeMs) {
        try {
            return read(JSON.readTree(json), appendTimeMs);
        } catch (IOException e) {
            throw new IllegalArgumentException("a definition is not JSON: " + e.getMessage(), e);
        }
    }

    static Definition read(JsonNode node, long appendTimeMs) {
        String tenantId = text(node, "tenant_id");
        String experimentId = text(node, "experiment_id");
        List<String> variants = new ArrayList<>();
        object(node, "variants").fieldNames().forEachRemaining(variants::add);
        TreeMap<String, List<String>> segments = new TreeMap<>();
        object(node, "segments").properties().forEach(dimension -> {
            List<String> values = new ArrayList<>();
            dimension.getValue().forEach(value -> values.add(value.asText()));
            segments.put(dimension.getKey(), values);
        });
        List<Metric> metrics = new ArrayList<>();
        field(node, "metrics").forEach(metric -> metrics.add(metric(metric)));
        return new Definition(
                tenantId,
                experimentId,
                (int) number(node, "config_version"),
                milliseconds(number(node, "cohort_hours"), HOUR_MS),
                milliseconds(number(node, "pre_period_days"), DAY_MS),
                variants,
                segments,
                metrics,
                absent(node, "ended_at") ? Definition.NEVER : (long) number(node, "ended_at"),
                appendTimeMs);
    }

    private static Metric metric(JsonNode node) {
        return new Metric(
                text(node, "id"),
                new Utf8(text(node, "source")),
                Metric.Kind.valueOf(text(node, "kind").toUpperCase(Locale.ROOT)),
                absent(node, "cap") ? Long.MAX_VALUE : (long) Math.rint(number(node, "cap") * MICROS),
                milliseconds(number(node, "window_start_days"), DAY_MS),
                absent(node, "window_days") ? Long.MAX_VALUE : milliseconds(number(node, "window_days"), DAY_MS));
    }

    private static long milliseconds(double amount, double unitMs) {
        return (long) Math.rint(amount * unitMs);
    }

    private static boolean absent(JsonNode node, String name) {
        return node.path(name).isNull() || node.path(name).isMissingNode();
    }

    private static JsonNode field(JsonNode node, String name) {
        if (absent(node, name)) {
            throw new IllegalArgumentException("a definition lacks " + name + ": " + node);
        }
        return node.get(name);
    }

    private static JsonNode object(JsonNode node, String name) {
        JsonNode value = field(node, name);
        if (!value.isObject()) {
            throw new IllegalArgumentException("a definition's " + name + " is not an object: " + node);
        }
        return value;
    }

    private static String text(JsonNode node, String name) {
        JsonNode value = field(node, name);
        if (!value.isTextual()) {
            throw new IllegalArgumentException("a definition's " + name + " is not a string: " + node);
        }
        return value.textValue();
    }

    private static double number(JsonNode node, String name) {
        JsonNode value = field(node, name);
        if (!value.isNumber()) {
            throw new IllegalArgumentException("a definition's " + name + " is not a number: " + node);
        }
        return value.doubleValue();
    }
}

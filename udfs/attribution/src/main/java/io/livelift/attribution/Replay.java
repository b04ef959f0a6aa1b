package io.livelift.attribution;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Runs histories through the engine without Flink: one case a line on standard input, one answer a line on standard
 * output, flushed after each, until the input ends. What parity tests compare with the reference.
 *
 * <pre>
 * case   = {"rules": {"horizon_ms", "future_ms", "retention_ms", "max_skew_ms", "region"},
 *           "schemas": {"1": avsc, …},                 avsc as a JSON object or as text; if absent: 1 is the reader's
 *                                                      Assignment schema, 2 its Outcome schema
 *           "definitions": [{"append_time": ms, "definition": {…}}, …],      known from the start; may be absent
 *           "records": [step, …],                      in processing order
 *           "end_at": ms}                              where append time advances to at the end; if absent: to the
 *                                                      greatest append time of the records plus the horizon plus 1
 * step   = {"kind": "assignment" | "outcome", "tenant_id", "topic", "partition", "offset", "append_time": ms,
 *           "key": base64 | null, "value": base64 | null}                    one record
 *        | {"definition": {…}, "append_time": ms}      learnt now; the first of a tenant, experiment and version stands
 *        | {"advance_to": ms}                          append time has come so far: due units are woken
 *        | {"restart": true}                           a new engine goes on with the same states and definitions
 * answer = {"slots": [{"tenant_id", "experiment_id", "config_version", "variant_id", "metric_id", "segment",
 *                      "cohort_ms", "unit_class", "region", "n", "sums": ["…" × 14]}, …],
 *           "ledger": […], "activity": […],            rows of the same form
 *           "rejected": [{"reason", "detail", "topic", "partition", "offset", "append_time", "key", "value"}, …],
 *           "state_bytes": of all units and their pages, "units": those with a state, "pages": those that are left,
 *           "rows": changes sent}
 *        | {"error": "what failed"}                    and the next case is run as if nothing had happened
 * </pre>
 *
 * <p>Rows that are all zero are absent; {@code cohort_ms} is a minute where it is no cohort. Rows and refusals come in
 * no particular order. Units are told apart by tenant and key.
 */
public final class Replay {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Replay() {}

    public static void main(String[] arguments) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(JSON.writeValueAsString(answer(line)));
            out.flush();
        }
    }

    private static ObjectNode answer(String line) {
        try {
            return new History(JSON.readTree(line)).run();
        } catch (IOException | RuntimeException e) {
            return JSON.createObjectNode().put("error", e.toString());
        }
    }

    private static final class Unit implements Pages {
        final String tenantId;
        final byte[] key;
        byte[] state;
        final Map<Integer, byte[]> pages = new HashMap<>();
        long wakeAtMs = Long.MAX_VALUE;

        Unit(String tenantId, byte[] key) {
            this.tenantId = tenantId;
            this.key = key;
        }

        @Override
        public byte[] get(int page) {
            return pages.get(page);
        }

        @Override
        public void put(int page, byte[] bytes) {
            pages.put(page, bytes);
        }

        @Override
        public void remove(int page) {
            pages.remove(page);
        }
    }

    /** One case while it runs. */
    private static final class History {
        private final JsonNode given;
        private final Rules rules;
        private final DefinitionCatalog definitions = new DefinitionCatalog();
        private final Map<String, Unit> units = new HashMap<>();
        private final ReplayedRows rows = new ReplayedRows(JSON);
        private final LogRecord record = new LogRecord();
        private UnitEngine engine;
        private long lastAppendTimeMs = Long.MIN_VALUE;

        History(JsonNode given) {
            this.given = given;
            JsonNode settings = given.required("rules");
            rules = new Rules(
                    settings.required("horizon_ms").longValue(),
                    settings.required("future_ms").longValue(),
                    settings.required("retention_ms").longValue(),
                    settings.required("max_skew_ms").longValue(),
                    settings.required("region").textValue());
        }

        ObjectNode run() throws IOException {
            startEngine();
            for (JsonNode definition : given.path("definitions")) {
                learn(definition);
            }
            for (JsonNode step : given.required("records")) {
                if (step.has("definition")) {
                    learn(step);
                } else if (step.has("advance_to")) {
                    advanceTo(step.get("advance_to").longValue());
                } else if (step.has("restart")) {
                    startEngine();
                } else {
                    apply(step);
                }
            }
            if (given.has("end_at")) {
                advanceTo(given.get("end_at").longValue());
            } else if (lastAppendTimeMs != Long.MIN_VALUE) {
                advanceTo(lastAppendTimeMs + rules.horizonMs() + 1);
            }
            return answer();
        }

        private void startEngine() {
            engine = new UnitEngine(rules, definitions, new EventDecoder(this::schema), rows);
        }

        private String schema(int id) {
            JsonNode schemas = given.path("schemas");
            if (schemas.isMissingNode()) {
                return id == 1 || id == 2 ? EventDecoder.readerSchema(EventKind.values()[id - 1]) : null;
            }
            JsonNode schema = schemas.get(Integer.toString(id));
            return schema == null ? null : schema.isTextual() ? schema.textValue() : schema.toString();
        }

        private void learn(JsonNode step) {
            definitions.add(DefinitionReader.read(
                    step.required("definition"), step.required("append_time").longValue()));
        }

        private void apply(JsonNode step) throws IOException {
            record.kind =
                    "assignment".equals(step.required("kind").textValue()) ? EventKind.ASSIGNMENT : EventKind.OUTCOME;
            record.tenantId = step.required("tenant_id").textValue();
            record.topic = step.required("topic").textValue();
            record.partition = step.required("partition").intValue();
            record.offset = step.required("offset").longValue();
            record.appendTimeMs = step.required("append_time").longValue();
            record.key = step.required("key").binaryValue();
            record.value = step.required("value").binaryValue();
            lastAppendTimeMs = Math.max(lastAppendTimeMs, record.appendTimeMs);
            Unit unit = units.computeIfAbsent(name(record), name -> new Unit(record.tenantId, record.key));
            unit.state = engine.onRecord(unit.state, unit, record);
            unit.wakeAtMs = engine.wakeAtMs();
        }

        private static String name(LogRecord record) {
            String key = record.key == null ? "" : "=" + new String(record.key, StandardCharsets.ISO_8859_1);
            return record.tenantId + key;
        }

        private void advanceTo(long nowMs) {
            for (Unit unit : units.values()) {
                while (unit.wakeAtMs <= nowMs) {
                    unit.state = engine.onTimer(unit.state, unit, unit.tenantId, unit.key, nowMs);
                    unit.wakeAtMs = engine.wakeAtMs();
                }
            }
        }

        private ObjectNode answer() {
            ObjectNode answer = JSON.createObjectNode();
            answer.set("slots", rows.toJson("slot", rules.region()));
            answer.set("ledger", rows.toJson("ledger", rules.region()));
            answer.set("activity", rows.toJson("activity", rules.region()));
            answer.set("rejected", rows.rejected);
            long stateBytes = 0;
            int kept = 0;
            int pages = 0;
            for (Unit unit : units.values()) {
                if (unit.state != null) {
                    stateBytes += unit.state.length;
                    kept++;
                }
                for (byte[] page : unit.pages.values()) {
                    stateBytes += page.length;
                    pages++;
                }
            }
            return answer.put("state_bytes", stateBytes)
                    .put("units", kept)
                    .put("pages", pages)
                    .put("rows", rows.rows);
        }
    }
}

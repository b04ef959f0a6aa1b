package io.livelift.attribution.flink;

import io.livelift.attribution.DefinitionBook;
import io.livelift.attribution.DefinitionCatalog;
import io.livelift.attribution.DefinitionReader;
import io.livelift.attribution.EventDecoder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.avro.shaded.org.apache.avro.io.BinaryEncoder;
import org.apache.flink.avro.shaded.org.apache.avro.io.EncoderFactory;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;

/** A task of the job in Flink's harness, told in records, watermarks and moments of the clock. */
final class OperatorStory implements AutoCloseable {
    static final long SECOND = 1_000;
    static final long BEGINNING = 1_767_225_600_000L;
    static final long FLUSH_MS = 500;
    static final long SLOTS_MS = 2000;

    private static final Map<String, String> PARAMETERS = Map.of(
            "bootstrap", "nowhere",
            "registry_url", "nowhere",
            "tenant", "",
            "horizon_ms", "10000",
            "future_ms", "1000",
            "retention_ms", "20000",
            "max_skew_ms", "5000",
            "region", "local",
            "rejected_percent_limit", "5");

    final DefinitionCatalog definitions;
    long seenUpTo;

    /** Keys of rows that were written since the checkpoint, and since when they were asked for. */
    final List<JsonNode> written = new ArrayList<>();

    long askedSince;

    private final AttributeOperator operator;
    private final KeyedOneInputStreamOperatorTestHarness<UnitKey, Received, SumChange> task;
    private int events;

    OperatorStory(StateBackend backend) {
        this(backend, AttributeOperator.MOST_ROWS_A_SECOND);
    }

    OperatorStory(StateBackend backend, int mostRowsASecond) {
        this(backend, "", new DefinitionCatalog(), null, mostRowsASecond);
    }

    /**
     * @param experimentId the job's only experiment; empty for all
     * @param restored where it goes on from; null for the beginning
     */
    OperatorStory(
            StateBackend backend, String experimentId, DefinitionCatalog definitions, OperatorSubtaskState restored) {
        this(backend, experimentId, definitions, restored, AttributeOperator.MOST_ROWS_A_SECOND);
    }

    private OperatorStory(
            StateBackend backend,
            String experimentId,
            DefinitionCatalog definitions,
            OperatorSubtaskState restored,
            int mostRowsASecond) {
        this.definitions = definitions;
        DefinitionBook book = definitions;
        try {
            operator = new AttributeOperator(
                    parameters -> new Surroundings(
                            book,
                            time -> seenUpTo = Math.max(seenUpTo, time),
                            OperatorStory::schema,
                            (since, key) -> {
                                askedSince = since;
                                written.forEach(key);
                            }),
                    FLUSH_MS,
                    SLOTS_MS,
                    mostRowsASecond);
            task = new KeyedOneInputStreamOperatorTestHarness<>(operator, Received::unit, UnitKey.TYPE);
            task.setStateBackend(backend);
            ExecutionConfig config = task.getExecutionConfig();
            config.enableObjectReuse();
            config.setGlobalJobParameters(parameters(experimentId));
            task.setup(new SumChange.Serializer());
            task.setProcessingTime(BEGINNING);
            if (restored != null) {
                task.initializeState(restored);
            }
            task.open();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    static ExecutionConfig.GlobalJobParameters parameters(String experimentId) {
        Map<String, String> parameters = new HashMap<>();
        PARAMETERS.forEach((name, value) -> parameters.put(JobParameters.PREFIX + name, value));
        parameters.put(JobParameters.PREFIX + "epoch", "3");
        for (String topic : new String[] {"definitions_topic", "slots_topic", "counts_topic"}) {
            parameters.put(JobParameters.PREFIX + topic, topic);
        }
        parameters.put(JobParameters.PREFIX + "experiment", experimentId);
        return new ExecutionConfig.GlobalJobParameters() {
            private static final long serialVersionUID = 1;

            @Override
            public Map<String, String> toMap() {
                return parameters;
            }
        };
    }

    // ---- what happens

    void define(String more) {
        String json =
                """
                {"tenant_id": "acme", "experiment_id": "checkout", "config_version": 1, "control": "control", %s
                 "variants": {"control": 0.5, "treatment": 0.5}, "cohort_hours": 1, "segments": {},
                 "pre_period_days": 0, "metrics": [{"id": "revenue", "source": "revenue", "kind": "mean", "cap": null,
                 "window_start_days": 0, "window_days": null}]}"""
                        .formatted(more);
        definitions.add(DefinitionReader.read(json.getBytes(StandardCharsets.UTF_8), BEGINNING - 60 * SECOND));
    }

    void assign(String unitId, long atMs) {
        receive("livelift.acme.assignments", unitId, event(1, unitId, encoder -> {
            encoder.writeString("checkout");
            encoder.writeInt(1);
            encoder.writeString("treatment");
            encoder.writeLong(atMs);
            encoder.writeMapStart();
            encoder.setItemCount(0);
            encoder.writeMapEnd();
            encoder.writeBoolean(false);
        }), atMs);
    }

    void outcome(String unitId, long atMs) {
        receive("livelift.acme.outcomes", unitId, event(2, unitId, encoder -> {
            encoder.writeString("revenue");
            encoder.writeDouble(12.5);
            encoder.writeDouble(1);
            encoder.writeLong(atMs);
        }), atMs);
    }

    void receive(String topic, String unitId, byte[] value, long appendTimeMs) {
        byte[] key = unitId == null ? null : unitId.getBytes(StandardCharsets.UTF_8);
        Received record = new Received(TenantTopic.of(topic), 0, events++, appendTimeMs, key, value);
        try {
            task.processElement(new StreamRecord<>(record, appendTimeMs));
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    void watermark(long timeMs) {
        try {
            task.processWatermark(timeMs);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    void clock(long timeMs) {
        try {
            task.setProcessingTime(timeMs);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    /** It looks once what may leave. */
    void look() {
        clock(task.getProcessingTime() + FLUSH_MS);
    }

    /** All that is pending leaves: at the second look nothing has come since the first. */
    void flush() {
        look();
        look();
    }

    OperatorSubtaskState checkpoint(long id) {
        try {
            task.prepareSnapshotPreBarrier(id);
            return task.snapshot(id, BEGINNING);
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    // ---- what comes of it

    int timers() {
        return task.numEventTimeTimers();
    }

    /** Units of which there is something in the state, counted once for each kind of it. */
    long stateEntries() {
        return Stream.of("unit", "pages")
                .mapToLong(name -> operator.getKeyedStateBackend()
                        .getKeys(name, VoidNamespace.INSTANCE)
                        .count())
                .sum();
    }

    /** Changes of sums of a kind, and refused records, that have left so far. */
    List<SumChange> changes(String kind) {
        List<SumChange> changes = new ArrayList<>();
        for (Object each : task.getOutput()) {
            if (each instanceof StreamRecord<?> record
                    && record.getValue() instanceof SumChange change
                    && change.key().kind().equals(kind)) {
                changes.add(change);
            }
        }
        return changes;
    }

    /** That have gone on. */
    List<Long> watermarks() {
        return task.getOutput().stream()
                .filter(Watermark.class::isInstance)
                .map(each -> ((Watermark) each).getTimestamp())
                .toList();
    }

    long exposures() {
        return exposures("slot");
    }

    /** As changes of kind {@code slot} or {@code total} have them. */
    long exposures(String kind) {
        return changes(kind).stream()
                .filter(change -> change.key().series().metricId().isEmpty())
                .mapToLong(SumChange::n)
                .sum();
    }

    List<String> refused() {
        return changes("rejected").stream()
                .map(change -> change.refused().getString(0).toString())
                .toList();
    }

    @Override
    public void close() throws Exception {
        task.close();
    }

    // ---- bytes

    private interface Fields {
        void write(BinaryEncoder encoder) throws IOException;
    }

    private byte[] event(int schemaId, String unitId, Fields fields) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(new byte[] {0, 0, 0, 0, (byte) schemaId});
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        try {
            encoder.writeString("acme");
            encoder.writeString(unitId);
            encoder.writeString("event-" + events);
            fields.write(encoder);
            encoder.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    private static String schema(int id) {
        String name = id == 1 ? "Assignment" : id == 2 ? "Outcome" : null;
        if (name == null) {
            return null;
        }
        try (InputStream in = EventDecoder.class.getResourceAsStream("/avro/" + name + ".avsc")) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

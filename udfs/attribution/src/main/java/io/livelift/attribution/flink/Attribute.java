package io.livelift.attribution.flink;

import io.livelift.attribution.EventDecoder;
import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Pages;
import io.livelift.attribution.Reason;
import io.livelift.attribution.UnitEngine;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/**
 * {@code attribute(input => TABLE records PARTITION BY (tenant_id, unit_key), on_time => …)}: the records of each unit
 * in, delta rows and refused records out. The rules are {@link UnitEngine}'s; this is where Flink keeps a unit's memory
 * and its alarm clock.
 *
 * <p>Per unit it keeps the engine's bytes and, while the unit must be woken, one timer with what the engine needs then.
 * A timer is set again only when the unit must be woken earlier than it said before; one that comes too early asks
 * anew. Both go when the engine has nothing left to keep.
 *
 * <p>It fails, and Flink starts it again, when the registry or the broker of the definitions stay away; a record alone
 * never makes it fail.
 */
@FunctionHint(output = @DataTypeHint(value = DeltaRows.TYPE, bridgedTo = RowData.class))
public final class Attribute extends ProcessTableFunction<RowData> {
    static final String INPUT = "ROW<tenant_id STRING NOT NULL, unit_key BYTES, record_value BYTES,"
            + " topic STRING NOT NULL, `partition` INT NOT NULL, `offset` BIGINT NOT NULL,"
            + " append_time TIMESTAMP_LTZ(3) NOT NULL>";

    /** Timers do not tell their key, so it is kept beside {@code wake_at}; the tenant as bytes, which need no decoding. */
    static final String STATE = "ROW<unit BYTES, wake_at BIGINT, tenant_id BYTES, unit_key BYTES>";

    private static final int UNIT = 0;
    private static final int WAKE_AT = 1;
    private static final int TENANT_ID = 2;
    private static final int UNIT_KEY = 3;

    /** What the engine is given until Flink keeps pages for it. */
    private static final Pages NO_PAGES = new Pages() {
        @Override
        public byte[] get(int page) {
            return null;
        }

        @Override
        public void put(int page, byte[] bytes) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void remove(int page) {
            throw new UnsupportedOperationException();
        }
    };

    private transient DeltaRows output;
    private transient UnitEngine engine;
    private transient DefinitionsFollower definitions;
    private transient LogRecord record;
    private transient Map<StringData, TenantTopic> topics;

    @Override
    public void open(FunctionContext context) {
        JobParameters parameters = JobParameters.of(context);
        definitions = DefinitionsFollower.of(parameters.bootstrap(), parameters.definitionsTopic());
        output = new DeltaRows(parameters.rules().region(), this::collect);
        EventDecoder decoder = new EventDecoder(new RegistrySchemas(parameters.registryUrl()));
        engine = new UnitEngine(parameters.rules(), definitions, decoder, output);
        record = new LogRecord();
        topics = new HashMap<>();
    }

    public void eval(
            Context context,
            @StateHint(type = @DataTypeHint(STATE), ttl = "0 ms") Row state,
            @ArgumentHint(
                            value = {ArgumentTrait.SET_SEMANTIC_TABLE, ArgumentTrait.REQUIRE_ON_TIME},
                            type = @DataTypeHint(value = INPUT, bridgedTo = RowData.class))
                    RowData input) {
        TenantTopic topic = topic(input.getString(3));
        record.tenantId = topic.tenantId();
        record.kind = topic.kind();
        record.key = input.isNullAt(1) ? null : input.getBinary(1);
        record.value = input.isNullAt(2) ? null : input.getBinary(2);
        record.topic = topic.name();
        record.partition = input.getInt(4);
        record.offset = input.getLong(5);
        record.appendTimeMs = input.getTimestamp(6, 3).getMillisecond();
        if (topic.kind() == null) {
            output.rejected(Reason.MISMATCH, "the topic is no tenant's", record);
            return;
        }
        byte[] unit = engine.onRecord((byte[]) state.getField(UNIT), NO_PAGES, record);
        keep(context, state, unit, topic.tenantId(), record.key);
    }

    public void onTimer(OnTimerContext context, Row state) {
        TimeContext<Long> time = context.timeContext(Long.class);
        byte[] unit = (byte[]) state.getField(UNIT);
        if (unit == null || !time.time().equals(state.getField(WAKE_AT))) {
            return;
        }
        String tenantId = new String((byte[]) state.getField(TENANT_ID), StandardCharsets.UTF_8);
        byte[] unitKey = (byte[]) state.getField(UNIT_KEY);
        long nowMs = time.currentWatermark();
        definitions.catchUp(nowMs);
        forgetTimer(state);
        keep(context, state, engine.onTimer(unit, NO_PAGES, tenantId, unitKey, nowMs), tenantId, unitKey);
    }

    private void keep(Context context, Row state, byte[] unit, String tenantId, byte[] unitKey) {
        Long wakeAt = (Long) state.getField(WAKE_AT);
        long wanted = unit == null ? Long.MAX_VALUE : engine.wakeAtMs();
        if (wakeAt != null && (unit == null || wanted < wakeAt)) {
            // Never clearAllTimers(): in Flink 2.3.0 it takes other units' timers with it.
            context.timeContext(Long.class).clearTimer(wakeAt);
            wakeAt = null;
        }
        if (unit == null) {
            context.clearAllState();
            return;
        }
        state.setField(UNIT, unit);
        if (wakeAt == null && wanted != Long.MAX_VALUE) {
            context.timeContext(Long.class).registerOnTime(wanted);
            state.setField(WAKE_AT, wanted);
            state.setField(TENANT_ID, tenantId.getBytes(StandardCharsets.UTF_8));
            state.setField(UNIT_KEY, unitKey);
        }
    }

    private static void forgetTimer(Row state) {
        state.setField(WAKE_AT, null);
        state.setField(TENANT_ID, null);
        state.setField(UNIT_KEY, null);
    }

    private TenantTopic topic(StringData name) {
        TenantTopic topic = topics.get(name);
        if (topic == null) {
            topic = TenantTopic.of(name.toString());
            topics.put(StringData.fromString(topic.name()), topic);
        }
        return topic;
    }
}

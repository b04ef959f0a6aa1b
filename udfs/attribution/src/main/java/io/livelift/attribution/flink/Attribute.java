package io.livelift.attribution.flink;

import io.livelift.attribution.Endings;
import io.livelift.attribution.EventDecoder;
import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import io.livelift.attribution.UnitEngine;
import java.util.HashMap;
import java.util.Map;
import java.util.function.LongConsumer;
import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.api.dataview.MapView;
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
 * <p>Per unit it keeps the engine's bytes, one timer with what the engine needs then, and the pages in which a heavy
 * user's memory continues. A timer is set again only when the unit must be woken earlier than it said before; one that
 * comes too early asks anew. All three go together, when the engine has nothing left to keep.
 *
 * <p>A unit's clock is {@link Endings#EFFECT_MS} behind the watermark: what is decided at a moment may depend on
 * definitions appended up to that moment, and by then the broker has shown them.
 *
 * <p>It fails, and Flink starts it again, when the registry or the broker of the definitions stay away; a record alone
 * never makes it fail.
 */
@FunctionHint(output = @DataTypeHint(value = DeltaRows.TYPE, bridgedTo = RowData.class))
public final class Attribute extends ProcessTableFunction<RowData> {
    static final String INPUT = "ROW<tenant_id STRING NOT NULL, unit_key BYTES, record_value BYTES,"
            + " topic STRING NOT NULL, `partition` INT NOT NULL, `offset` BIGINT NOT NULL,"
            + " append_time TIMESTAMP_LTZ(3) NOT NULL>";

    /** The engine's bytes, which change at each event, and beside them the {@link Alarm}, which rarely does. */
    static final String STATE = "ROW<unit BYTES, alarm BYTES>";

    private static final int UNIT = 0;
    private static final int ALARM = 1;


    private transient RejectedShares output;
    private transient UnitEngine engine;
    private transient LongConsumer definitions;
    private transient LogRecord record;
    private transient StatePages unitPages;
    private transient Map<StringData, TenantTopic> topics;

    @Override
    public void open(FunctionContext context) {
        JobParameters parameters = JobParameters.of(context);
        DefinitionsFollower follower =
                DefinitionsFollower.of(parameters.bootstrap(), parameters.definitionsTopic());
        DeltaRows rows = new DeltaRows(
                parameters.rules().region(), parameters.epoch(), parameters.experimentId(), this::collect);
        RejectedShares shares = new RejectedShares(
                context.getMetricGroup(), parameters.rejectedPercentLimit(), rows, System::nanoTime);
        EventDecoder decoder = new EventDecoder(new RegistrySchemas(parameters.registryUrl()));
        start(new UnitEngine(parameters.rules(), follower, decoder, shares), shares, follower::keepUpWith);
    }

    /**
     * @param output what the engine puts out goes through it, too
     * @param definitions is told every append time before it matters
     */
    void start(UnitEngine engine, RejectedShares output, LongConsumer definitions) {
        this.engine = engine;
        this.output = output;
        this.definitions = definitions;
        record = new LogRecord();
        unitPages = new StatePages();
        topics = new HashMap<>();
    }

    public void eval(
            Context context,
            @StateHint(type = @DataTypeHint(STATE), ttl = "0 ms") Row state,
            @StateHint(ttl = "0 ms") MapView<Integer, byte[]> pages,
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
        definitions.accept(record.appendTimeMs);
        output.received(record.tenantId, record.appendTimeMs);
        byte[] before = (byte[]) state.getField(UNIT);
        byte[] unit = engine.onRecord(before, unitPages.of(pages), record);
        if (unit != null) {
            keep(context, state, unit, record.tenantId, record.key);
        } else if (before != null) {
            forget(context, state);
        }
    }

    public void onTimer(OnTimerContext context, Row state, MapView<Integer, byte[]> pages) {
        TimeContext<Long> time = context.timeContext(Long.class);
        byte[] alarm = (byte[]) state.getField(ALARM);
        if (alarm == null || time.time() != timerOf(Alarm.wakeAtMs(alarm))) {
            return;
        }
        state.setField(ALARM, null);
        String tenantId = Alarm.tenantId(alarm);
        byte[] unitKey = Alarm.unitKey(alarm);
        long watermark = time.currentWatermark();
        definitions.accept(watermark);
        long nowMs = watermark - Endings.EFFECT_MS;
        byte[] unit = engine.onTimer((byte[]) state.getField(UNIT), unitPages.of(pages), tenantId, unitKey, nowMs);
        if (unit == null) {
            forget(context, state);
        } else {
            keep(context, state, unit, tenantId, unitKey);
        }
    }

    private void keep(Context context, Row state, byte[] unit, String tenantId, byte[] unitKey) {
        state.setField(UNIT, unit);
        long wakeAtMs = engine.wakeAtMs();
        byte[] alarm = (byte[]) state.getField(ALARM);
        // At the end of time there is nothing to wait for.
        if (wakeAtMs == Long.MAX_VALUE || alarm != null && Alarm.wakeAtMs(alarm) <= wakeAtMs) {
            return;
        }
        clearTimer(context, alarm);
        context.timeContext(Long.class).registerOnTime(timerOf(wakeAtMs));
        state.setField(ALARM, Alarm.bytes(wakeAtMs, tenantId, unitKey));
    }

    private static void forget(Context context, Row state) {
        clearTimer(context, (byte[]) state.getField(ALARM));
        context.clearAllState();
    }

    private static void clearTimer(Context context, byte[] alarm) {
        if (alarm != null) {
            // Never clearAllTimers(): in Flink 2.3.0 it takes other units' timers with it.
            context.timeContext(Long.class).clearTimer(timerOf(Alarm.wakeAtMs(alarm)));
        }
    }

    private static long timerOf(long wakeAtMs) {
        return wakeAtMs + Endings.EFFECT_MS;
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

package io.livelift.attribution.flink;

import io.livelift.attribution.Endings;
import io.livelift.attribution.EventDecoder;
import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import io.livelift.attribution.UnitEngine;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongConsumer;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.IntSerializer;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * The records of each unit in, changes of sums and refused records out. The rules are
 * {@link UnitEngine}'s; this is where Flink keeps a unit's memory and its alarm clock, and where changes are added up
 * before they travel.
 *
 * <p>Per unit it keeps the engine's bytes, one timer, and the pages in which a heavy user's memory continues. A timer is
 * set again only when the unit must be woken earlier than it said before. All three go together, when the engine has
 * nothing left to keep.
 *
 * <p>Sums leave every {@code flushMs}, those of slots every {@code slotsMs}, and all before every checkpoint, so a change
 * is either in a checkpoint's downstream or its record will be read again. No function of SQL could do that: none is told of a checkpoint.
 *
 * <p>A unit's clock is {@link Endings#EFFECT_MS} behind the watermark: what is decided at a moment may depend on
 * definitions appended up to that moment, and by then the broker has shown them.
 *
 * <p>Once a second it says how far time has come, as a row of kind {@code coverage}: {@code metric_id} is the task's
 * number, {@code counted_at} its watermark.
 *
 * <p>The watermark goes on when everything that came before it has left, so that it says as much to the sums.
 *
 * <p>It fails, and Flink starts it again, when the registry or the broker of the definitions stay away; a record alone
 * never makes it fail.
 */
final class AttributeOperator extends AbstractStreamOperator<SumChange>
        implements OneInputStreamOperator<Received, SumChange>, Triggerable<UnitKey, VoidNamespace> {
    private static final long serialVersionUID = 1;
    private static final long COVERAGE_EVERY_MS = 1000;

    /** Of a task, besides those before a checkpoint: with very many experiments sums leave less often. */
    static final int MOST_ROWS_A_SECOND = 2000;

    /** Clocks of tasks and brokers differ by less, and a row is on its way no longer. */
    private static final long UNSURE_MS = 60_000;

    /** Sums of records that are late anyway wait for more of their kind a fourth of that, up to the most. */
    private static final long MOST_WAIT_MS = 60_000;

    /** About 200 MB a task, with a state backend that needs it. */
    private static final int MOST_KEPT = 200_000;

    private final Surroundings.Finder surroundings;
    private final long flushMs;
    private final long slotsMs;
    private final int mostRowsASecond;

    private transient UnitEngine engine;
    private transient LongConsumer definitions;
    private transient RejectedShares shares;
    private transient PendingSums sums;
    private transient EmittedKeys emitted;
    private transient JobParameters parameters;
    private transient ListState<Long> begunAt;

    /** Rows written since then may be of keys that do not come again; null when there are none. */
    private transient Long unsureSinceMs;

    private transient boolean tellsCoverage;
    private transient long coverageToldMs;
    private transient long flushedMs;
    private transient int rows;
    private transient int slotRows;
    private transient long slotsFlushedMs;

    /** Came since the last flush of slots; null if none did. */
    private transient Watermark newest;

    /** Since the last look. */
    private transient boolean hasReceived;

    private transient LogRecord record;
    private transient StreamRecord<SumChange> change;
    private transient Units units;
    private transient MapState<Integer, byte[]> pages;
    private transient UnitPages unitPages;
    private transient InternalTimerService<VoidNamespace> timers;

    AttributeOperator(Surroundings.Finder surroundings, long flushMs, long slotsMs, int mostRowsASecond) {
        this.surroundings = surroundings;
        this.flushMs = flushMs;
        this.slotsMs = slotsMs;
        this.mostRowsASecond = mostRowsASecond;
    }

    @Override
    public void open() throws Exception {
        super.open();
        parameters = JobParameters.of(getRuntimeContext().getGlobalJobParameters()::get);
        Surroundings found = surroundings.find(parameters);
        definitions = found.definitionsUpTo();
        emitted = found.emitted();
        record = new LogRecord();
        change = new StreamRecord<>(null);
        sums = new PendingSums(parameters.experimentId(), each -> output.collect(change.replace(each)));
        shares = new RejectedShares(
                getMetricGroup(), parameters.rejectedPercentLimit(), sums, System::nanoTime);
        engine = new UnitEngine(parameters.rules(), found.definitions(), new EventDecoder(found.schemas()), shares);
        tellsCoverage = parameters.tenantId().isEmpty();

        units = Units.in(
                getRuntimeContext().getState(new ValueStateDescriptor<>("unit", new UnitMemory.Serializer())),
                getKeyedStateBackend(),
                MOST_KEPT);
        pages = getRuntimeContext()
                .getMapState(new MapStateDescriptor<>(
                        "pages", IntSerializer.INSTANCE, BytePrimitiveArraySerializer.INSTANCE));
        unitPages = new UnitPages(pages);
        timers = getInternalTimerService("wake", VoidNamespaceSerializer.INSTANCE, this);
        lookAgainLater();
    }

    @Override
    public void processElement(StreamRecord<Received> element) throws Exception {
        Received received = element.getValue();
        hasReceived = true;
        TenantTopic topic = received.topic();
        record.tenantId = topic.tenantId();
        record.kind = topic.kind();
        record.key = received.key();
        record.value = received.value();
        record.topic = topic.name();
        record.partition = received.partition();
        record.offset = received.offset();
        record.appendTimeMs = received.appendTimeMs();
        if (topic.kind() == null) {
            shares.rejected(Reason.MISMATCH, "the topic is no tenant's", record);
            return;
        }
        definitions.accept(record.appendTimeMs);
        shares.received(record.tenantId, record.appendTimeMs);
        UnitMemory unit = units.get();
        byte[] before = unit == null ? null : unit.bytes();
        byte[] after = engine.onRecord(before, unit == null ? 0 : unit.length(), unitPages, record);
        if (after != before) {
            keep(unit, after, engine.wokenAtMs());
        }
        sums.makeRoom();
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        timeServiceManager.advanceWatermark(mark);
        newest = mark;
    }

    @Override
    public void onEventTime(InternalTimer<UnitKey, VoidNamespace> timer) throws Exception {
        long watermark = timers.currentWatermark();
        definitions.accept(watermark);
        String tenantId = timer.getKey().tenantId();
        UnitMemory unit = units.get();
        if (unit == null) {
            return;
        }
        byte[] before = unit.bytes();
        byte[] after = engine.onTimer(
                before, unit.length(), unitPages, tenantId, timer.getKey().key(), watermark - Endings.EFFECT_MS);
        if (after == before) {
            setTimer(Long.MAX_VALUE);
        } else {
            keep(unit, after, Long.MAX_VALUE);
        }
        sums.makeRoom();
    }

    /** @param timerIsSetTo the moment the unit's timer will wake it at; never, if there is none */
    private void keep(UnitMemory before, byte[] after, long timerIsSetTo) throws Exception {
        units.put(before, after);
        if (after == null) {
            clearTimer(timerIsSetTo);
            pages.clear();
        } else {
            setTimer(timerIsSetTo);
        }
    }

    private void setTimer(long isSetTo) {
        long wakeAtMs = engine.wakeAtMs();
        if (wakeAtMs < isSetTo) {
            clearTimer(isSetTo);
            timers.registerEventTimeTimer(VoidNamespace.INSTANCE, wakeAtMs + Endings.EFFECT_MS);
        }
    }

    private void clearTimer(long wakeAtMs) {
        if (wakeAtMs != Long.MAX_VALUE) {
            timers.deleteEventTimeTimer(VoidNamespace.INSTANCE, wakeAtMs + Endings.EFFECT_MS);
        }
    }

    @Override
    public void onProcessingTime(InternalTimer<UnitKey, VoidNamespace> timer) {
        throw new IllegalStateException("no unit has a timer by the clock");
    }

    // ---- when sums leave

    /** At round moments, so that the changes of all tasks meet at the next aggregate. */
    private void lookAgainLater() {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        getProcessingTimeService().registerTimer(now - now % flushMs + flushMs, this::look);
    }

    /** After rows for more than a second, so long that who reads them all can keep up. */
    private long pauseMs(int rows) {
        return Math.max(0, rows - mostRowsASecond) * 1000L / mostRowsASecond;
    }

    private void look(long now) {
        if (tellsCoverage && now >= coverageToldMs + COVERAGE_EVERY_MS && timers.currentWatermark() > 0) {
            coverageToldMs = now;
            sums.coverage(getRuntimeContext().getTaskInfo().getIndexOfThisSubtask(), timers.currentWatermark());
        }
        // Nobody waits for what is late already: during a backlog more of a key goes into a row.
        long waitMs = Math.min(MOST_WAIT_MS, (now - record.appendTimeMs) / 4);
        if (!hasReceived || now - slotsFlushedMs >= Math.max(Math.max(slotsMs, waitMs), pauseMs(slotRows))) {
            flushSlots();
        } else if (now - flushedMs >= Math.max(waitMs, pauseMs(rows))) {
            flushedMs = now;
            rows = sums.flush();
        }
        writeAgain();
        hasReceived = false;
        lookAgainLater();
    }

    private void flushSlots() {
        flushedMs = getProcessingTimeService().getCurrentProcessingTime();
        slotsFlushedMs = flushedMs;
        rows = sums.flush();
        slotRows = rows + sums.flushSlots();
        if (newest != null) {
            output.emitWatermark(newest);
            newest = null;
        }
    }

    /**
     * After a failure: says again what the rows written since the checkpoint should say. It adds nothing to their keys,
     * so each becomes what the state knows of it. One task does it for all.
     */
    private void writeAgain() {
        if (unsureSinceMs == null) {
            return;
        }
        if (getRuntimeContext().getTaskInfo().getIndexOfThisSubtask() == 0) {
            Set<JsonNode> keys = new HashSet<>();
            emitted.since(unsureSinceMs - UNSURE_MS, key -> {
                if (key.path("epoch").asInt() == parameters.epoch()
                        && !key.path("kind").asText().equals(PendingSums.COVERAGE)
                        && isOf(key, "tenant_id", parameters.tenantId())
                        && isOf(key, "experiment_id", parameters.experimentId())) {
                    keys.add(key);
                }
            });
            keys.forEach(sums::touch);
        }
        unsureSinceMs = null;
    }

    private static boolean isOf(JsonNode key, String name, String only) {
        return only.isEmpty() || key.path(name).asText().equals(only);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        flushSlots();
        super.prepareSnapshotPreBarrier(checkpointId);
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        begunAt = context.getOperatorStateStore()
                .getUnionListState(new ListStateDescriptor<>("begun-at", LongSerializer.INSTANCE));
        if (context.isRestored()) {
            unsureSinceMs = Long.MAX_VALUE;
            for (long begunAtMs : begunAt.get()) {
                unsureSinceMs = Math.min(unsureSinceMs, begunAtMs);
            }
            unsureSinceMs = unsureSinceMs == Long.MAX_VALUE ? null : unsureSinceMs;
        }
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        units.write();
        begunAt.update(List.of(
                unsureSinceMs == null ? getProcessingTimeService().getCurrentProcessingTime() : unsureSinceMs));
        super.snapshotState(context);
    }

    @Override
    public void finish() throws Exception {
        flushSlots();
        super.finish();
    }
}

package io.livelift.attribution.flink;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.table.data.RowData;

/**
 * Changes in, the newest content of their sums out, as rows of {@link CountedRows}; refused records pass. A row is
 * absolute, so one that is told twice says the same twice.
 *
 * <p>Changes of a key meet for {@code meetMs}. Then its sum is told, and before every checkpoint. Only slots may wait
 * longer: there are as many as experiments have cohorts, outcomes come for all of them, and who reads the rows cannot read
 * one for each change. While few change they are told at once, too; when there are more than a rate, each leaves in its turn,
 * {@value #MOST_HELD_MS} ms after its change at the latest. That it waits is in its state, with a timer.
 *
 * <p>Sums of minutes, ledger and activity, pile up, so they are forgotten some time after their last change. Other sums
 * are kept for ever.
 *
 * <p>The watermark goes on once everything that came before it is told: up to there what is told is complete. After a
 * stop of minutes all whose turn has passed leave at once.
 */
final class SumsOperator extends AbstractStreamOperator<RowData>
        implements OneInputStreamOperator<SumChange, RowData>, Triggerable<SumKey, VoidNamespace> {
    private static final long serialVersionUID = 1;

    /** In Flink's metrics, by which {@code infra/cluster.py} asks for the watermark. */
    static final String NAME = "sums";

    static final long MOST_HELD_MS = 300_000;
    private static final int MOST_KEYS = 50_000;

    private final long meetMs;
    private final long burstMs;
    private final long keepMinutesMs;
    private final int slotsASecond;

    private transient CountedRows rows;
    private transient StreamRecord<RowData> row;

    /** What came since the last flush. */
    private transient Map<SumKey, Sum> changes;

    private transient ValueState<Sum> sums;
    private transient ValueState<Sum> minutes;
    private transient InternalTimerService<VoidNamespace> timers;
    private transient Departures departures;

    /** How many wait, and when the last of them will have left. */
    private transient long held;

    private transient long lastDueMs;

    /** Timers fire in their order: before this moment none is left. */
    private transient long firedMs;

    private transient Deque<Mark> marks;
    private transient Watermark newest;

    /**
     * @param meetMs how long changes of a key wait for each other
     * @param burstMs rows of slots that were not told in so long a time may be told at once
     * @param keepMinutesMs how long after its last change a sum of a minute is kept
     * @param slotsASecond with more than these, each waits for its turn
     */
    SumsOperator(long meetMs, long burstMs, long keepMinutesMs, int slotsASecond) {
        this.meetMs = Math.max(1, meetMs);
        this.burstMs = burstMs;
        this.keepMinutesMs = keepMinutesMs;
        this.slotsASecond = slotsASecond;
    }

    @Override
    public void open() throws Exception {
        super.open();
        JobParameters parameters = JobParameters.of(getRuntimeContext().getGlobalJobParameters()::get);
        rows = new CountedRows(parameters.rules().region(), parameters.epoch());
        row = new StreamRecord<>(null);
        changes = new HashMap<>();
        marks = new ArrayDeque<>();
        sums = getRuntimeContext().getState(new ValueStateDescriptor<>("sums", new Sum.Serializer()));
        ValueStateDescriptor<Sum> ofMinutes = new ValueStateDescriptor<>("minutes", new Sum.Serializer());
        ofMinutes.enableTimeToLive(
                StateTtlConfig.newBuilder(Duration.ofMillis(keepMinutesMs)).build());
        minutes = getRuntimeContext().getState(ofMinutes);
        timers = getInternalTimerService("held", VoidNamespaceSerializer.INSTANCE, this);
        departures = new Departures(slotsASecond, burstMs, MOST_HELD_MS);
        timers.forEachProcessingTimeTimer((namespace, dueMs) -> {
            held++;
            lastDueMs = Math.max(lastDueMs, dueMs);
        });
        departures.after(lastDueMs);
        flushLater();
    }

    @Override
    public void processElement(StreamRecord<SumChange> element) throws Exception {
        SumChange change = element.getValue();
        if (change.refused() != null) {
            output.collect(row.replace(rows.refused(change)));
            return;
        }
        changes.computeIfAbsent(change.key(), key -> new Sum()).add(change);
        if (changes.size() >= MOST_KEYS) {
            flush();
        }
    }

    private void flushLater() {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        getProcessingTimeService().registerTimer(now + meetMs, time -> {
            flush();
            flushLater();
        });
    }

    private void flush() throws Exception {
        long now = getProcessingTimeService().getCurrentProcessingTime();
        for (Map.Entry<SumKey, Sum> change : changes.entrySet()) {
            SumKey key = change.getKey();
            setCurrentKey(key);
            String kind = key.kind();
            ValueState<Sum> state = isOfMinutes(kind) ? minutes : sums;
            Sum sum = state.value();
            if (sum == null) {
                sum = change.getValue();
            } else {
                sum.add(change.getValue());
            }
            if (!kind.equals(PendingSums.SLOT) || !sum.isHeld && !hold(sum, now)) {
                tell(key, sum);
            }
            state.update(sum);
        }
        changes = new HashMap<>();
        if (newest != null) {
            marks.add(new Mark(newest, lastDueMs));
            newest = null;
        }
        passMarks();
    }

    private static boolean isOfMinutes(String kind) {
        return kind.equals("ledger") || kind.equals("activity");
    }

    /** Whether the current key must wait. */
    private boolean hold(Sum sum, long now) {
        long dueMs = departures.next(now);
        if (dueMs <= now) {
            return false;
        }
        sum.isHeld = true;
        held++;
        // At round moments, so that many leave with one timer of the machine; a clock may be set back.
        lastDueMs = Math.max(lastDueMs, dueMs - dueMs % meetMs + meetMs);
        timers.registerProcessingTimeTimer(VoidNamespace.INSTANCE, lastDueMs);
        return true;
    }

    private void tell(SumKey key, Sum sum) {
        output.collect(row.replace(rows.of(key, sum)));
    }

    @Override
    public void onProcessingTime(InternalTimer<SumKey, VoidNamespace> timer) throws Exception {
        Sum sum = sums.value();
        sum.isHeld = false;
        held--;
        tell(timer.getKey(), sum);
        sums.update(sum);
        firedMs = timer.getTimestamp();
        passMarks();
    }

    @Override
    public void onEventTime(InternalTimer<SumKey, VoidNamespace> timer) {
        throw new IllegalStateException("no sum has a timer by event time");
    }

    @Override
    public void processWatermark(Watermark mark) {
        newest = mark;
    }

    private void passMarks() {
        Watermark passed = null;
        while (!marks.isEmpty() && (held == 0 || marks.getFirst().dueMs < firedMs)) {
            passed = marks.removeFirst().mark;
        }
        if (passed != null) {
            output.emitWatermark(passed);
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        flush();
        super.prepareSnapshotPreBarrier(checkpointId);
    }

    @Override
    public void finish() throws Exception {
        flush();
        timers.forEachProcessingTimeTimer((namespace, dueMs) -> tell((SumKey) getCurrentKey(), sums.value()));
        super.finish();
    }

    /** @param dueMs when everything that came before the mark has left */
    private record Mark(Watermark mark, long dueMs) {}
}

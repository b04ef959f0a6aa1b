package io.livelift.attribution.flink;

import java.util.HashMap;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.functions.ProcessTableFunction.OnTimerContext;
import org.apache.flink.table.functions.ProcessTableFunction.TimeContext;
import org.apache.flink.table.functions.TableSemantics;
import org.apache.flink.types.Row;

/** What Flink keeps for one unit: its state, its timers and how far time has come. */
final class UnitInFlink {
    Row state = new Row(2);
    final MapView<Integer, byte[]> pages = new MapView<>();
    final NavigableSet<Long> timers = new TreeSet<>();

    private final Attribute function;
    private long watermark = Long.MIN_VALUE;

    UnitInFlink(Attribute function) {
        this.function = function;
        pages.setMap(new HashMap<>());
    }

    /** Whether there is nothing left of the unit. */
    boolean isGone() {
        return state.getField(0) == null
                && state.getField(1) == null
                && pages.getMap().isEmpty()
                && timers.isEmpty();
    }

    void receive(RowData input) {
        Call call = new Call(input.getTimestamp(6, 3).getMillisecond());
        function.eval(call, state, pages, input);
        call.end();
    }

    /** The watermark comes to a moment: timers up to it fire, in their order, those set meanwhile too. */
    void advanceTo(long watermark) {
        this.watermark = watermark;
        while (!timers.isEmpty() && timers.first() <= watermark) {
            fire(timers.pollFirst());
        }
    }

    void fire(long timer) {
        Call call = new Call(timer);
        function.onTimer(call, state, pages);
        call.end();
    }

    /** The context of one call. Clearing takes effect at its end, as in Flink. */
    private final class Call implements OnTimerContext, TimeContext<Long> {
        private final long timeMs;
        private boolean isCleared;

        Call(long timeMs) {
            this.timeMs = timeMs;
        }

        void end() {
            if (isCleared) {
                state = new Row(2);
                pages.getMap().clear();
            }
        }

        @Override
        @SuppressWarnings("unchecked")
        public <T> TimeContext<T> timeContext(Class<T> conversionClass) {
            return (TimeContext<T>) this;
        }

        @Override
        public void clearAllState() {
            isCleared = true;
        }

        @Override
        public Long time() {
            return timeMs;
        }

        @Override
        public Long currentWatermark() {
            return watermark;
        }

        @Override
        public void registerOnTime(Long time) {
            timers.add(time);
        }

        @Override
        public void clearTimer(Long time) {
            timers.remove(time);
        }

        // ---- what the function must not use

        @Override
        public Long tableWatermark() {
            throw new UnsupportedOperationException();
        }

        @Override
        public void registerOnTime(String name, Long time) {
            throw new UnsupportedOperationException("a named timer costs three times as much");
        }

        @Override
        public void clearTimer(String name) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void clearAllTimers() {
            throw new UnsupportedOperationException("in Flink 2.3.0 it takes other units' timers");
        }

        @Override
        public void clearAll() {
            throw new UnsupportedOperationException("in Flink 2.3.0 it takes other units' timers");
        }

        @Override
        public void clearState(String stateName) {
            throw new UnsupportedOperationException();
        }

        @Override
        public TableSemantics tableSemanticsFor(String argName) {
            throw new UnsupportedOperationException();
        }

        @Override
        public ChangelogMode getChangelogMode() {
            throw new UnsupportedOperationException();
        }

        @Override
        public String currentTimer() {
            return null;
        }
    }
}

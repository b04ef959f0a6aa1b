package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.livelift.attribution.LogRecord;
import io.livelift.attribution.Reason;
import io.livelift.attribution.Series;
import io.livelift.attribution.SumDelta;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.RowDataSerializer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What becomes of changes, with each state backend. */
class SumsOperatorTest {
    private static final long BEGINNING = 1_767_225_600_000L;
    private static final long MEET_MS = 100;
    private static final long KEEP_MINUTES_MS = 60_000;
    private static final byte[] FIVE = {1, 0, 1, 5};
    private static final int SLOTS_A_SECOND = 10;
    private static final int AT_ONCE = 11;

    static Stream<StateBackend> backends() {
        return Stream.of(new HashMapStateBackend(), new EmbeddedRocksDBStateBackend());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void changesOfAKeyMeetAndTheirSumIsTold(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            story.change("slot", 7, 1);
            story.change("slot", 7, 2);
            story.change("total", 0, 3);
            assertEquals(List.of(), story.told());
            story.meet();
            assertEquals(List.of("slot 7: 3, 10", "total 0: 3, 5"), story.told());
            story.change("slot", 7, -1);
            story.meet();
            assertEquals(List.of("slot 7: 2, 15"), story.told(), "all that ever was, not what came since");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aRowBearsItsKeyTheEpochAndTheRegion(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            story.change("slot", 7, 1);
            story.meet();
            RowData row = story.rows().get(0);
            assertEquals("slot", row.getString(0).toString());
            assertEquals(3, row.getInt(1));
            assertEquals("acme", row.getString(2).toString());
            assertEquals("checkout", row.getString(3).toString());
            assertEquals(1, row.getInt(4));
            assertEquals("treatment", row.getString(5).toString());
            assertEquals("revenue", row.getString(6).toString());
            assertEquals("country=DE", row.getString(7).toString());
            assertEquals(7, row.getLong(8));
            assertEquals("clean", row.getString(9).toString());
            assertEquals("local", row.getString(10).toString());
            assertEquals(BEGINNING, row.getLong(13));
            assertEquals(1, row.getLong(14));
            assertTrue(row.isNullAt(15));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aRefusedRecordPassesAtOnceWithItsTenant(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            LogRecord record = new LogRecord();
            record.tenantId = "acme";
            record.topic = "livelift.acme.outcomes";
            record.offset = 12;
            record.appendTimeMs = 1000;
            story.receive(CountedRows.refusal(Reason.TOO_LATE, "", record));
            RowData row = story.rows().get(0);
            assertEquals("rejected", row.getString(0).toString());
            assertEquals("acme", row.getString(2).toString());
            assertEquals(0, row.getLong(8));
            assertEquals("too_late", row.getRow(15, 8).getString(0).toString());
            assertEquals(12, row.getRow(15, 8).getLong(4));
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void slotsBeyondTheRateLeaveInTheirTurnWithWhatCameMeanwhile(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            story.slots(AT_ONCE + 5);
            story.meet();
            assertEquals(AT_ONCE, story.told().size());
            story.slots(AT_ONCE + 5);
            story.change("total", 0, 1);
            story.meet();
            List<String> told = story.told();
            assertTrue(told.contains("total 0: 1, 5"), "waits for no slot");
            assertTrue(told.size() <= 3, told.toString());
            story.clock(10_000);
            assertEquals(2 * (AT_ONCE + 5) * 5, story.newestSum(), "each has left with all its changes");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void everythingElseIsToldBeforeACheckpointAndWhoWaitsIsInIt(StateBackend backend) throws Exception {
        OperatorSubtaskState checkpoint;
        try (Story story = new Story(backend)) {
            story.slots(AT_ONCE + 5);
            story.change("ledger", 0, 1);
            checkpoint = story.checkpoint();
            assertEquals(AT_ONCE + 1, story.toldAll().size());
        }
        try (Story restored = new Story(backend, checkpoint)) {
            assertEquals(List.of(), restored.toldAll());
            restored.watermark(1);
            restored.change("slot", 99, 1);
            restored.meet();
            assertEquals(List.of(), restored.watermarks(), "there are some that came before it");
            restored.clock(10_000);
            assertEquals(6 * 5, restored.newestSum(), "those that waited, and the one that came");
            assertEquals(List.of(1L), restored.watermarks());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void theWatermarkGoesOnWhenEverythingBeforeItIsTold(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            story.change("slot", 7, 1);
            story.watermark(1);
            assertEquals(List.of(), story.watermarks());
            story.meet();
            assertEquals(List.of(1L), story.watermarks());
            story.slots(AT_ONCE + 5);
            story.watermark(2);
            story.meet();
            assertEquals(List.of(1L), story.watermarks());
            story.slots(AT_ONCE + 50);
            story.watermark(3);
            story.meet();
            story.clock(600);
            assertEquals(List.of(1L, 2L), story.watermarks(), "those after it wait on");
            story.clock(10_000);
            assertEquals(List.of(1L, 2L, 3L), story.watermarks());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aClockThatIsSetBackLetsNoWatermarkPassTooEarly(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            story.slots(AT_ONCE + 3000);
            story.meet();
            story.clock(-10_000);
            story.change("slot", 5000, 1);
            story.watermark(1);
            story.checkpoint();
            story.clock(SumsOperator.MOST_HELD_MS + 9000);
            assertEquals(List.of(), story.watermarks());
            story.clock(2000);
            assertEquals(List.of(1L), story.watermarks());
            assertEquals((AT_ONCE + 3001) * 5, story.newestSum());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aCheckpointHoldsWhatWasAtItsBeginningAndWhatCameSinceIsRestoredByNobody(StateBackend backend)
            throws Exception {
        OperatorSubtaskState checkpoint;
        try (Story story = new Story(backend)) {
            story.change("slot", 7, 1);
            story.change("ledger", 7, 1);
            checkpoint = story.checkpoint();
            story.change("slot", 7, 1);
            story.change("ledger", 7, 1);
            story.meet();
        }
        try (Story restored = new Story(backend, checkpoint)) {
            restored.change("slot", 7, 10);
            restored.change("ledger", 7, 10);
            restored.meet();
            assertEquals(List.of("ledger 7: 11, 10", "slot 7: 11, 10"), restored.told());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void atTheEndEverythingIsTold(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            story.slots(AT_ONCE + 5);
            story.meet();
            story.change("slot", 7, 1);
            story.task.endInput();
            story.task.getOperator().finish();
            assertEquals((AT_ONCE + 6) * 5, story.newestSum());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void onlySumsOfMinutesAreForgotten(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            for (String kind : List.of("activity", "ledger", "slot", "total")) {
                story.change(kind, 0, 1);
            }
            story.meet();
            story.clock(KEEP_MINUTES_MS + 1);
            story.told();
            for (String kind : List.of("activity", "ledger", "slot", "total")) {
                story.change(kind, 0, 1);
            }
            story.meet();
            assertEquals(
                    List.of("activity 0: 1, 5", "ledger 0: 1, 5", "slot 0: 2, 10", "total 0: 2, 10"), story.told());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatIsSaidAgainAddsNothing(StateBackend backend) throws Exception {
        try (Story story = new Story(backend)) {
            story.change("slot", 7, 2);
            story.meet();
            story.told();
            story.receive(SumChange.counted(key("slot", 7), 0, new byte[0], 0));
            story.meet();
            assertEquals(List.of("slot 7: 2, 5"), story.told());
        }
    }

    private static SumKey key(String kind, long timeMs) {
        return SumKey.of(new Series(kind, "acme", "checkout", 1, "treatment", "revenue", "country=DE", "clean"), timeMs);
    }

    /** A task of the job in Flink's harness, told in changes, watermarks and moments of the clock. */
    private static final class Story implements AutoCloseable {
        private final KeyedOneInputStreamOperatorTestHarness<SumKey, SumChange, RowData> task;
        private int seen;

        Story(StateBackend backend) throws Exception {
            this(backend, null);
        }

        Story(StateBackend backend, OperatorSubtaskState restored) throws Exception {
            SumsOperator operator = new SumsOperator(MEET_MS, 1000, KEEP_MINUTES_MS, SLOTS_A_SECOND);
            task = new KeyedOneInputStreamOperatorTestHarness<>(operator, SumChange::key, SumKey.TYPE);
            task.setStateBackend(backend);
            ExecutionConfig config = task.getExecutionConfig();
            config.enableObjectReuse();
            config.setGlobalJobParameters(OperatorStory.parameters(""));
            task.setup(new RowDataSerializer(CountedRows.LOGICAL));
            task.setProcessingTime(BEGINNING);
            task.setStateTtlProcessingTime(BEGINNING);
            if (restored != null) {
                task.initializeState(restored);
            }
            task.open();
        }

        void change(String kind, long timeMs, long n) throws Exception {
            receive(SumChange.counted(key(kind, timeMs), n, FIVE, BEGINNING));
        }

        /** One more for each of the first so many slots. */
        void slots(int count) throws Exception {
            for (int slot = 0; slot < count; slot++) {
                change("slot", slot, 1);
            }
        }

        void receive(SumChange change) throws Exception {
            task.processElement(new StreamRecord<>(change));
        }

        void watermark(long timeMs) throws Exception {
            task.processWatermark(timeMs);
        }

        void meet() throws Exception {
            clock(MEET_MS);
        }

        /** So much later. */
        void clock(long ms) throws Exception {
            long now = task.getProcessingTime() + ms;
            task.setStateTtlProcessingTime(now);
            task.setProcessingTime(now);
        }

        OperatorSubtaskState checkpoint() throws Exception {
            task.prepareSnapshotPreBarrier(1);
            return task.snapshot(1, BEGINNING);
        }

        List<RowData> rows() {
            List<RowData> rows = new ArrayList<>();
            for (Object each : task.getOutput()) {
                if (each instanceof StreamRecord<?> record && record.getValue() instanceof RowData row) {
                    rows.add(row);
                }
            }
            return rows;
        }

        List<Long> watermarks() {
            return task.getOutput().stream()
                    .filter(Watermark.class::isInstance)
                    .map(each -> ((Watermark) each).getTimestamp())
                    .toList();
        }

        /** Kind and time, n and the first sum of all rows so far. */
        List<String> toldAll() {
            return rows().stream().map(Story::text).toList();
        }

        /** Those since it was asked last, sorted. */
        List<String> told() {
            List<String> all = toldAll();
            List<String> since = all.subList(seen, all.size()).stream().sorted().toList();
            seen = all.size();
            return since;
        }

        /** The first sums of the newest rows of all slots, added up. */
        long newestSum() {
            return rows().stream()
                    .filter(row -> row.getString(0).toString().equals("slot"))
                    .collect(Collectors.toMap(
                            row -> row.getLong(8), Story::sum, (earlier, later) -> later))
                    .values()
                    .stream()
                    .mapToLong(Long::longValue)
                    .sum();
        }

        private static String text(RowData row) {
            return row.getString(0) + " " + row.getLong(8) + ": " + row.getLong(11) + ", " + sum(row);
        }

        private static long sum(RowData row) {
            return SumDelta.decode(row.getBinary(12))[0].longValueExact();
        }

        @Override
        public void close() throws Exception {
            task.close();
        }
    }
}

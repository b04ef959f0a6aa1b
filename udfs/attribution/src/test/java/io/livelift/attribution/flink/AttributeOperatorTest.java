package io.livelift.attribution.flink;

import static io.livelift.attribution.flink.OperatorStory.BEGINNING;
import static io.livelift.attribution.flink.OperatorStory.SECOND;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.livelift.attribution.DefinitionCatalog;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.state.StateBackend;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the operator promises, with each state backend. */
class AttributeOperatorTest {
    private static final long LONG_AFTERWARDS = BEGINNING + 600 * SECOND;
    private static final String ENDED = "\"ended_at\": " + (BEGINNING + 30 * SECOND) + ", ";

    static Stream<StateBackend> backends() {
        return Stream.of(new HashMapStateBackend(), new EmbeddedRocksDBStateBackend());
    }

    @ParameterizedTest
    @MethodSource("backends")
    void changesOfAKeyLeaveTogetherAfterAWhile(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            for (int unit = 0; unit < 100; unit++) {
                story.assign("user-" + unit, BEGINNING);
            }
            assertEquals(List.of(), story.changes("slot"));
            story.flush();
            assertEquals(1, story.changes("slot").size());
            assertEquals(100, story.exposures());
            assertEquals(1, story.changes("ledger").size());
            story.flush();
            assertEquals(1, story.changes("slot").size());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aCheckpointTakesNothingWithItThatHasNotLeft(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            story.assign("user-1", BEGINNING);
            story.checkpoint(1);
            assertEquals(1, story.exposures());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whatIsRestoredGoesOnWhereTheCheckpointWas(StateBackend backend) throws Exception {
        DefinitionCatalog definitions;
        OperatorSubtaskState checkpoint;
        try (OperatorStory story = new OperatorStory(backend)) {
            definitions = story.definitions;
            story.define(ENDED);
            story.assign("user-1", BEGINNING);
            for (int i = 1; i < 500; i++) {
                story.outcome("user-1", BEGINNING + i);
            }
            checkpoint = story.checkpoint(1);
            story.outcome("user-1", BEGINNING + 600);
        }
        try (OperatorStory restored = new OperatorStory(backend, "", definitions, checkpoint)) {
            assertEquals(1, restored.timers());
            restored.assign("user-1", BEGINNING); // an id of its own: the exposure is known, nothing changes
            restored.flush();
            assertEquals(0, restored.exposures());
            restored.watermark(LONG_AFTERWARDS);
            restored.checkpoint(2);
            assertEquals(0, restored.timers());
            assertEquals(0, restored.stateEntries());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aUnitHasOneTimer(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            story.assign("user-1", BEGINNING);
            for (int i = 1; i < 100; i++) {
                story.outcome("user-1", BEGINNING + i * SECOND / 10);
                assertEquals(1, story.timers());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void anAssignmentThatWaitsIsCountedWhenATimerFindsItsDefinition(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.assign("user-1", BEGINNING);
            story.define("");
            story.flush();
            assertEquals(0, story.exposures());
            story.watermark(BEGINNING + 10 * SECOND);
            story.flush();
            assertEquals(1, story.exposures());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aUnitsClockIsASecondBehindTheWatermarkSoThatNoDefinitionIsMissed(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.assign("user-1", BEGINNING);
            story.watermark(BEGINNING + 11 * SECOND);
            assertEquals(List.of(), story.refused());
            story.watermark(BEGINNING + 11 * SECOND + 1);
            assertEquals(List.of("unknown_definition"), story.refused());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void whoeverReadsTheDefinitionsIsToldEveryTimeThatIsSeen(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.assign("user-1", BEGINNING);
            assertEquals(BEGINNING, story.seenUpTo);
            story.watermark(BEGINNING + 4 * SECOND);
            assertEquals(BEGINNING + 4 * SECOND, story.seenUpTo);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void aUnitThatMayStillChangeIsKeptHoweverLongItIsSilent(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            story.assign("user-1", BEGINNING);
            story.watermark(LONG_AFTERWARDS);
            story.checkpoint(1);
            assertEquals(1, story.timers());
            assertEquals(1, story.stateEntries());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void ofAUnitWhoseExperimentEndedLongAgoNothingIsLeft(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define(ENDED);
            story.assign("user-1", BEGINNING);
            for (int i = 1; i < 2000; i++) {
                story.outcome("user-1", BEGINNING + i);
            }
            story.checkpoint(1);
            assertTrue(story.stateEntries() > 1, "a heavy user has pages");
            story.watermark(LONG_AFTERWARDS);
            story.checkpoint(2);
            assertEquals(0, story.timers());
            assertEquals(0, story.stateEntries());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void ofAUnitThatWasNeverExposedNothingIsLeft(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.outcome("user-1", BEGINNING);
            story.watermark(LONG_AFTERWARDS);
            story.checkpoint(1);
            assertEquals(0, story.timers());
            assertEquals(0, story.stateEntries());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void recordsWithoutUnitOrMeaningAreRefusedAndLeaveNothing(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.receive("livelift.acme.outcomes", "user-1", "nonsense".getBytes(StandardCharsets.UTF_8), BEGINNING);
            story.receive("livelift.acme.outcomes", null, null, BEGINNING);
            story.receive("livelift-internal.slots", "user-1", new byte[0], BEGINNING);
            assertEquals(List.of("unreadable", "unreadable", "mismatch"), story.refused());
            story.checkpoint(1);
            assertEquals(0, story.timers());
            assertEquals(0, story.stateEntries());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void itTellsHowFarTimeHasCome(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.look();
            assertEquals(List.of(), story.changes("coverage"));
            story.watermark(BEGINNING + SECOND);
            story.look();
            story.look();
            List<SumChange> told = story.changes("coverage");
            assertEquals(1, told.size(), "once a second");
            assertEquals("0", told.get(0).key().series().metricId());
            assertEquals(BEGINNING + SECOND, told.get(0).countedAtMs());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void theWatermarkGoesOnBehindWhatCameBeforeIt(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            story.look();
            story.assign("user-1", BEGINNING + OperatorStory.FLUSH_MS);
            story.watermark(BEGINNING + OperatorStory.FLUSH_MS);
            story.look();
            assertEquals(1, story.exposures("total"));
            assertEquals(List.of(), story.watermarks(), "a slot has not left yet");
            story.look();
            assertEquals(1, story.exposures());
            assertEquals(List.of(BEGINNING + OperatorStory.FLUSH_MS), story.watermarks());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void changesThatAreLateAnywayWaitForMoreOfTheirKind(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            story.assign("user-0", BEGINNING - 6 * SECOND);
            story.look();
            assertEquals(1, story.exposures("total"));
            for (int user = 1; user <= 4; user++) {
                story.assign("user-" + user, BEGINNING - 6 * SECOND);
                story.look();
                assertEquals(1, story.exposures("total"));
            }
            story.assign("user-5", BEGINNING - 6 * SECOND);
            story.look();
            assertEquals(6, story.exposures("total"), "a fourth of the 9 s that they are late is over");
            assertEquals(6, story.exposures());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void totalsLeaveAtEveryLookAndSlotsAfterAWhile(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            story.look();
            for (int user = 1; user < OperatorStory.SLOTS_MS / OperatorStory.FLUSH_MS; user++) {
                story.assign("user-" + user, BEGINNING + user * OperatorStory.FLUSH_MS);
                story.look();
                assertEquals(user, story.exposures("total"));
                assertEquals(0, story.exposures());
            }
            story.assign("user-0", BEGINNING + OperatorStory.SLOTS_MS);
            story.look();
            assertEquals(1, story.changes("slot").size());
            assertEquals(story.exposures("total"), story.exposures());
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void rowsOfVeryManySeriesLeaveLessOften(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend, 1)) {
            story.define("");
            story.look();
            List<Long> told = new ArrayList<>();
            for (int user = 1; user <= 4; user++) {
                story.assign("user-" + user, BEGINNING + user * OperatorStory.FLUSH_MS);
                story.look();
                told.add(story.exposures("total"));
            }
            assertEquals(List.of(1L, 1L, 1L, 4L), told, "two rows too many at one a second, then it is time for slots");
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void rowsOfABacklogHoldUpNothingOnceSlotsHaveLeft(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend, 5)) {
            story.define("");
            story.look();
            for (int minute = 1; minute <= 10; minute++) {
                story.assign("user-" + minute, BEGINNING - minute * 60 * SECOND);
            }
            long looks = OperatorStory.SLOTS_MS / OperatorStory.FLUSH_MS;
            for (int look = 1; look <= looks; look++) {
                story.assign("before-" + look, BEGINNING + look * OperatorStory.FLUSH_MS);
                story.look();
            }
            assertEquals(story.exposures("total"), story.exposures(), "slots have left");
            for (int look = 1; look < looks; look++) {
                long told = story.exposures("total");
                story.assign("after-" + look, BEGINNING + (looks + look) * OperatorStory.FLUSH_MS);
                story.look();
                assertEquals(told + 1, story.exposures("total"));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void nothingWaitsOnceTheBacklogIsWorkedOff(StateBackend backend) throws Exception {
        try (OperatorStory story = new OperatorStory(backend)) {
            story.define("");
            story.look();
            story.assign("user-1", BEGINNING - 60 * SECOND);
            story.look();
            assertEquals(0, story.exposures("total"));
            story.look();
            assertEquals(1, story.exposures("total"), "nothing came any more");
            story.assign("user-2", BEGINNING - 60 * SECOND);
            story.look();
            story.assign("user-3", BEGINNING + SECOND);
            story.look();
            assertEquals(3, story.exposures("total"), "the last was not late");
        }
    }

    /** Another order of topics may not come by its key again, and its last row would stand for ever. */
    @ParameterizedTest
    @MethodSource("backends")
    void whatWasWrittenAfterTheCheckpointIsSaidAgainOnce(StateBackend backend) throws Exception {
        DefinitionCatalog definitions;
        OperatorSubtaskState checkpoint;
        try (OperatorStory story = new OperatorStory(backend)) {
            definitions = story.definitions;
            story.define("");
            checkpoint = story.checkpoint(1);
        }
        try (OperatorStory restored = new OperatorStory(backend, "", definitions, checkpoint)) {
            restored.written.add(key(3, "slot"));
            restored.written.add(key(3, "slot"));
            restored.written.add(key(2, "slot"));
            restored.written.add(key(3, "coverage"));
            restored.flush();
            restored.flush();
            assertEquals(BEGINNING - 60 * SECOND, restored.askedSince);
            assertEquals(1, restored.changes("slot").size(), "of its own epoch, once");
            assertEquals(List.of(), restored.changes("total"), "they have keys of their own");
            SumChange change = restored.changes("slot").get(0);
            assertEquals("acme", change.key().series().tenantId());
            assertEquals(7, change.key().timeMs());
            assertEquals(0, change.n());
            assertEquals(0, change.sums().length);
            assertEquals(List.of(), restored.changes("coverage"));
        }
    }

    private static JsonNode key(int epoch, String kind) throws Exception {
        String json =
                """
                {"kind": "%s", "epoch": %d, "tenant_id": "acme", "experiment_id": "checkout", "config_version": 1,
                 "variant_id": "treatment", "metric_id": "revenue", "segment": "", "cohort": 7, "unit_class": "clean",
                 "region": "local"}""";
        return new ObjectMapper().readTree(json.formatted(kind, epoch));
    }
}

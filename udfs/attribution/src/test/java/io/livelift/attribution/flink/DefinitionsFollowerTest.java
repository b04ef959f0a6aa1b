package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.MockConsumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.KafkaException;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.PartitionInfo;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class DefinitionsFollowerTest {
    private static final String TOPIC = "livelift-internal.definitions";
    private static final TopicPartition PARTITION = new TopicPartition(TOPIC, 0);

    private static final long NOW_MS = 1_767_225_600_000L;

    private final Clock clock = Clock.fixed(Instant.ofEpochMilli(NOW_MS), ZoneOffset.UTC);
    private final MockConsumer<byte[], byte[]> consumer = new MockConsumer<>("earliest");
    private long end;

    @Test
    void whatIsOnTheTopicIsKnownFromTheStart() {
        topicWith(definition("checkout", 1));
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        assertEquals(1000, follower.find("acme", "checkout", 1).appendTimeMs());
        assertNull(follower.find("acme", "checkout", 2));
        assertNull(follower.find("other", "checkout", 1));
    }

    @Test
    void whatIsPublishedLaterIsKnownToWhoeverCatchesUpWithIt() {
        topicWith();
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        append(definition("checkout", 1));
        assertNull(follower.find("acme", "checkout", 1));
        follower.catchUp(NOW_MS);
        assertNotNull(follower.find("acme", "checkout", 1));
    }

    @Test
    void whatATaskSeesHalfASecondLaterNeedsNoOtherLook() {
        topicWith();
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        follower.keepUpWith(NOW_MS);
        failWhenAsked();
        follower.keepUpWith(NOW_MS - 1);
        follower.keepUpWith(NOW_MS + 500);
        assertThrows(KafkaException.class, () -> follower.keepUpWith(NOW_MS + 501));
    }

    @Test
    void aRecordFindsEveryDefinitionThatWasInEffectWhenItWasAppended() {
        topicWith();
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        follower.keepUpWith(NOW_MS);
        failWhenAsked();
        follower.catchUp(NOW_MS - 500);
        assertThrows(KafkaException.class, () -> follower.catchUp(NOW_MS - 499));
    }

    @Test
    void whoAsksForAMomentMayBeAheadOfTheBrokerAndKnowsNothingOfLaterOnes() {
        topicWith();
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        follower.catchUp(NOW_MS);
        failWhenAsked();
        follower.catchUp(NOW_MS);
        assertThrows(KafkaException.class, () -> follower.catchUp(NOW_MS + 1));
    }

    @Test
    void theBrokerIsNotAskedForWhatIsLongPast() {
        topicWith();
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        failWhenAsked();
        follower.catchUp(NOW_MS - 300_000);
        assertThrows(KafkaException.class, () -> follower.catchUp(NOW_MS - 299_999));
    }

    @Test
    void theFirstRecordOfADefinitionStands() {
        topicWith(definition("checkout", 1), definition("checkout", 1));
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        assertEquals(1000, follower.find("acme", "checkout", 1).appendTimeMs());
    }

    @Test
    void recordsThatAreNoDefinitionsArePassedOver() {
        topicWith("no json", "{}", null, "[]", "", definition("checkout", 1));
        DefinitionsFollower follower = new DefinitionsFollower(consumer, TOPIC, clock);
        assertNotNull(follower.find("acme", "checkout", 1));
    }

    @Test
    void aMissingTopicStopsTheTaskAndIsNamed() {
        consumer.updatePartitions(TOPIC, List.of());
        RuntimeException failure =
                assertThrows(IllegalStateException.class, () -> new DefinitionsFollower(consumer, TOPIC, clock));
        assertEquals("topic " + TOPIC + " does not exist", failure.getMessage());
        assertTrue(consumer.closed());
    }

    private void failWhenAsked() {
        consumer.setOffsetsException(new KafkaException("asked"));
    }

    private void topicWith(String... values) {
        consumer.updatePartitions(TOPIC, List.of(new PartitionInfo(TOPIC, 0, null, null, null)));
        consumer.updateBeginningOffsets(Map.of(PARTITION, 0L));
        consumer.updateEndOffsets(Map.of(PARTITION, (long) values.length));
        // The mock takes records only once it is assigned to their partition, which the follower does first.
        consumer.schedulePollTask(() -> {
            for (String value : values) {
                append(value);
            }
        });
    }

    private void append(String value) {
        byte[] bytes = value == null ? null : value.getBytes(StandardCharsets.UTF_8);
        consumer.addRecord(new ConsumerRecord<>(
                TOPIC,
                0,
                end,
                1000 * (end + 1),
                TimestampType.LOG_APPEND_TIME,
                0,
                0,
                null,
                bytes,
                new RecordHeaders(),
                Optional.empty()));
        end++;
        consumer.updateEndOffsets(Map.of(PARTITION, end));
    }

    private static String definition(String experimentId, int configVersion) {
        return """
                {"tenant_id": "acme", "experiment_id": "%s", "config_version": %d, "control": "control",
                 "variants": {"control": 0.5, "treatment": 0.5}, "cohort_hours": 1, "segments": {},
                 "pre_period_days": 0, "metrics": [{"id": "revenue", "source": "revenue", "kind": "mean", "cap": null,
                 "window_start_days": 0, "window_days": null}]}"""
                .formatted(experimentId, configVersion);
    }
}

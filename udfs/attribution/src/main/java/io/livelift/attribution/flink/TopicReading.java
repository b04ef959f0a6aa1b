package io.livelift.attribution.flink;

import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.Consumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Topics that a task reads beside its input: without a consumer group, to their ends as they are at the moment. */
final class TopicReading {
    /** How long the broker may be away before the task fails and Flink starts it again. */
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final Duration A_WHILE = Duration.ofMillis(100);

    private TopicReading() {}

    static Consumer<byte[], byte[]> consumer(String bootstrap, String clientId) {
        Properties properties = new Properties();
        properties.setProperty("bootstrap.servers", bootstrap);
        properties.setProperty("client.id", clientId);
        properties.setProperty("auto.offset.reset", "earliest");
        properties.setProperty("enable.auto.commit", "false");
        properties.setProperty("allow.auto.create.topics", "false");
        properties.setProperty("default.api.timeout.ms", String.valueOf(PATIENCE.toMillis()));
        properties.setProperty("metric.reporters", "");
        properties.setProperty("enable.metrics.push", "false");
        return new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /**
     * Reads what the consumer is assigned to, from where it stands to the ends as they are now.
     *
     * @throws RuntimeException if the broker cannot be reached, or shows nothing, for 30 s
     */
    static void toTheEnd(
            Consumer<byte[], byte[]> consumer, java.util.function.Consumer<ConsumerRecord<byte[], byte[]>> each) {
        Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("nothing up to " + ends + " could be read in " + PATIENCE);
            }
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(A_WHILE)) {
                each.accept(record);
                deadline = System.nanoTime() + PATIENCE.toNanos();
            }
        }
    }
}

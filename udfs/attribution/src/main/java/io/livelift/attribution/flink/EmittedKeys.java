package io.livelift.attribution.flink;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Consumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * The keys of the rows that were written since a moment. After a failure the job knows nothing of rows it wrote after
 * the checkpoint it goes on from; where records of two topics come in another order now, their keys may never come
 * again, and the last row would stand for ever.
 */
interface EmittedKeys {
    /** @throws RuntimeException if the broker cannot be reached for 30 s */
    void since(long timeMs, Consumer<JsonNode> key);

    /** Reads topics whose records' keys are JSON, from the moment to their ends as they are now. */
    static EmittedKeys of(String bootstrap, List<String> topics) {
        return (timeMs, key) -> {
            Properties properties = new Properties();
            properties.setProperty("bootstrap.servers", bootstrap);
            properties.setProperty("enable.auto.commit", "false");
            properties.setProperty("allow.auto.create.topics", "false");
            properties.setProperty("default.api.timeout.ms", "30000");
            properties.setProperty("metric.reporters", "");
            properties.setProperty("enable.metrics.push", "false");
            ObjectMapper json = new ObjectMapper();
            try (KafkaConsumer<byte[], byte[]> consumer =
                    new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
                Map<TopicPartition, Long> moments = new HashMap<>();
                for (String topic : topics) {
                    consumer.partitionsFor(topic)
                            .forEach(each -> moments.put(new TopicPartition(topic, each.partition()), timeMs));
                }
                consumer.assign(moments.keySet());
                Map<TopicPartition, Long> ends = consumer.endOffsets(moments.keySet());
                consumer.offsetsForTimes(moments)
                        .forEach((partition, found) ->
                                consumer.seek(partition, found == null ? ends.get(partition) : found.offset()));
                while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                        key.accept(json.readTree(record.key()));
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        };
    }
}

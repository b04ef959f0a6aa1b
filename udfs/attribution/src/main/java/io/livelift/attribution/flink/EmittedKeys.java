package io.livelift.attribution.flink;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
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
        ObjectMapper json = new ObjectMapper();
        return (timeMs, key) -> {
            try (var consumer = TopicReading.consumer(bootstrap, "livelift-attribution-emitted")) {
                Map<TopicPartition, Long> moments = new HashMap<>();
                for (String topic : topics) {
                    consumer.partitionsFor(topic)
                            .forEach(each -> moments.put(new TopicPartition(topic, each.partition()), timeMs));
                }
                consumer.assign(moments.keySet());
                consumer.seekToEnd(moments.keySet());
                consumer.offsetsForTimes(moments).forEach((partition, found) -> {
                    if (found != null) {
                        consumer.seek(partition, found.offset());
                    }
                });
                TopicReading.toTheEnd(consumer, record -> key.accept(read(json, record.key())));
            }
        };
    }

    private static JsonNode read(ObjectMapper json, byte[] key) {
        try {
            return json.readTree(key);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}

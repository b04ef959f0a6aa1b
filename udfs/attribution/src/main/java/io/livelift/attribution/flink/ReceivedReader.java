package io.livelift.attribution.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.util.Collector;

/** Kafka's records with their place, their bytes untouched; what the topic's name says is found out once. */
final class ReceivedReader implements KafkaRecordDeserializationSchema<Received> {
    private static final long serialVersionUID = 1;

    private transient Map<String, TenantTopic> topics;

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Received> out) {
        if (topics == null) {
            topics = new HashMap<>();
        }
        out.collect(new Received(
                topics.computeIfAbsent(record.topic(), TenantTopic::of),
                record.partition(),
                record.offset(),
                record.timestamp(),
                record.key(),
                record.value()));
    }

    @Override
    public TypeInformation<Received> getProducedType() {
        return Received.TYPE;
    }
}

package io.livelift.attribution.flink;

import java.time.Duration;
import java.util.regex.Pattern;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.ProviderContext;
import org.apache.flink.table.connector.source.DataStreamScanProvider;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.connector.source.ScanTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;

/**
 * The table of deltas: what the records of the tenants' topics change, by the rules of attribution. For SQL a source;
 * inside, Kafka's records go to the tasks of their units, where {@link AttributeOperator} decides them.
 *
 * @param topics pattern of the topics that are read, from their beginning; new ones are found while the job runs
 * @param heartbeatTopic one of them, whose records move time and go no further
 * @param group consumer group that shows how far the job has come
 * @param idleTimeout a partition without records for so long does not hold time back
 * @param flushEvery how long changes may wait for others of their key
 * @param flushSlotsEvery the same of slots, which are many
 */
record DeltasSource(
        String bootstrap,
        Pattern topics,
        String heartbeatTopic,
        String group,
        Duration idleTimeout,
        Duration flushEvery,
        Duration flushSlotsEvery)
        implements ScanTableSource {
    private static final Duration NEW_TOPICS_WITHIN = Duration.ofSeconds(5);

    @Override
    public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
    }

    @Override
    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
        return new DataStreamScanProvider() {
            @Override
            public DataStream<RowData> produceDataStream(ProviderContext provider, StreamExecutionEnvironment env) {
                return deltas(env);
            }

            @Override
            public boolean isBounded() {
                return false;
            }
        };
    }

    private DataStream<RowData> deltas(StreamExecutionEnvironment env) {
        // Names of lambdas' captures: the operators are serialized, this source is not.
        String heartbeat = heartbeatTopic;
        return env.fromSource(kafka(), WatermarkStrategy.<Received>forMonotonousTimestamps().withIdleness(idleTimeout), "received")
                .uid("received")
                .filter(received -> !received.topic().name().equals(heartbeat))
                .uid("without-heartbeat")
                .name("without heartbeat")
                .keyBy(Received::unit, UnitKey.TYPE)
                .transform(
                        "attribute",
                        InternalTypeInfo.of(DeltaRows.LOGICAL),
                        new AttributeOperator(
                                Surroundings::real,
                                flushEvery.toMillis(),
                                flushSlotsEvery.toMillis(),
                                AttributeOperator.MOST_ROWS_A_SECOND))
                .uid("attribution-by-unit");
    }

    private KafkaSource<Received> kafka() {
        return KafkaSource.<Received>builder()
                .setBootstrapServers(bootstrap)
                .setTopicPattern(topics)
                .setGroupId(group)
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setProperty("partition.discovery.interval.ms", String.valueOf(NEW_TOPICS_WITHIN.toMillis()))
                .setDeserializer(new ReceivedReader())
                .build();
    }

    @Override
    public DynamicTableSource copy() {
        return this;
    }

    @Override
    public String asSummaryString() {
        return "livelift deltas";
    }
}

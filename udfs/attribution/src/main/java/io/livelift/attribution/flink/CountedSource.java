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
 * The table of what is counted: the newest content of every sum that changed, and refused records. For SQL a source; inside,
 * Kafka's records go to the tasks of their units, where {@link AttributeOperator} decides them, and what they change to
 * the tasks of the sums, {@link SumsOperator}.
 *
 * @param topics pattern of the topics that are read, from their beginning; new ones are found while the job runs
 * @param heartbeatTopic one of them, whose records move time and go no further
 * @param group consumer group that shows how far the job has come
 * @param idleTimeout a partition without records for so long does not hold time back
 * @param flushEvery how long changes may wait for others of their key
 * @param flushSlotsEvery the same of slots, which are many
 * @param keepMinutes how long after its last change a sum of a minute is kept
 */
record CountedSource(
        String bootstrap,
        Pattern topics,
        String heartbeatTopic,
        String group,
        Duration idleTimeout,
        Duration flushEvery,
        Duration flushSlotsEvery,
        Duration keepMinutes)
        implements ScanTableSource {
    private static final Duration NEW_TOPICS_WITHIN = Duration.ofSeconds(5);

    /** Changes come from all tasks at the same moments; in this part of the time between them those of a key meet. */
    private static final int MEETING = 5;

    @Override
    public ChangelogMode getChangelogMode() {
        return ChangelogMode.insertOnly();
    }

    @Override
    public ScanRuntimeProvider getScanRuntimeProvider(ScanContext context) {
        return new DataStreamScanProvider() {
            @Override
            public DataStream<RowData> produceDataStream(ProviderContext provider, StreamExecutionEnvironment env) {
                return counted(env);
            }

            @Override
            public boolean isBounded() {
                return false;
            }
        };
    }

    private DataStream<RowData> counted(StreamExecutionEnvironment env) {
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
                        SumChange.TYPE,
                        new AttributeOperator(
                                Surroundings::real,
                                flushEvery.toMillis(),
                                flushSlotsEvery.toMillis(),
                                AttributeOperator.MOST_ROWS_A_SECOND))
                .uid("attribution-by-unit")
                .keyBy(SumChange::key, SumKey.TYPE)
                .transform(
                        SumsOperator.NAME,
                        InternalTypeInfo.of(CountedRows.LOGICAL),
                        new SumsOperator(
                                flushEvery.toMillis() / MEETING,
                                flushSlotsEvery.toMillis(),
                                keepMinutes.toMillis(),
                                AttributeOperator.MOST_ROWS_A_SECOND))
                .uid("sums");
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
        return "livelift counted";
    }
}

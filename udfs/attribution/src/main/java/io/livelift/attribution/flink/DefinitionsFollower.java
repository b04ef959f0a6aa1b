package io.livelift.attribution.flink;

import io.livelift.attribution.Definition;
import io.livelift.attribution.DefinitionBook;
import io.livelift.attribution.DefinitionCatalog;
import io.livelift.attribution.DefinitionReader;
import io.livelift.attribution.Endings;
import java.lang.management.ManagementFactory;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReentrantLock;
import javax.management.JMException;
import javax.management.ObjectName;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.Consumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The definitions topic as a book: everything that was on it when the task started, and what came since.
 *
 * <p>The topic is read by the task that asks for a moment nobody asked for yet, at most twice a second of append time
 * and not at all for the long past, of which everything is known. There is no thread, because Flink closes no function
 * of this kind and a thread would outlive the job. All tasks of a job in one process share one follower and its
 * connection, which live as long as the job's class loader.
 *
 * <p>Records that are no definitions are passed over and logged: one of them must not stop every tenant.
 */
final class DefinitionsFollower implements DefinitionBook {
    private static final Logger LOG = LoggerFactory.getLogger(DefinitionsFollower.class);
    private static final Map<String, DefinitionsFollower> FOLLOWERS = new HashMap<>();

    private static final String CLIENT_ID = "livelift-attribution-definitions";

    /** A definition is shown to readers so soon after its append time. */
    private static final long SHOWN_AFTER_MS = Endings.EFFECT_MS / 2;

    /** Clocks of this machine and of a broker are no further apart. */
    private static final long MOST_CLOCK_SKEW_MS = Duration.ofMinutes(5).toMillis();

    private final DefinitionCatalog definitions = new DefinitionCatalog();
    private final ReentrantLock reading = new ReentrantLock();
    private final Consumer<byte[], byte[]> consumer;
    private final Clock clock;
    private volatile long caughtUpTo = Long.MIN_VALUE;

    /**
     * The follower of a topic, caught up with what is on it now.
     *
     * @throws RuntimeException if the topic is not there or the broker cannot be reached for 30 s
     */
    static DefinitionsFollower of(String bootstrap, String topic) {
        synchronized (FOLLOWERS) {
            DefinitionsFollower follower = FOLLOWERS.get(bootstrap + "/" + topic);
            if (follower == null) {
                follower = new DefinitionsFollower(consumer(bootstrap), topic, Clock.systemUTC());
                FOLLOWERS.put(bootstrap + "/" + topic, follower);
            }
            return follower;
        }
    }

    private static Consumer<byte[], byte[]> consumer(String bootstrap) {
        Consumer<byte[], byte[]> consumer = TopicReading.consumer(bootstrap, CLIENT_ID);
        letGo();
        return consumer;
    }

    /** Takes back the one thing by which the process would keep the consumer, and all classes of an ended job. */
    private static void letGo() {
        try {
            ObjectName info = new ObjectName("kafka.consumer:type=app-info,id=" + CLIENT_ID);
            ManagementFactory.getPlatformMBeanServer().unregisterMBean(info);
        } catch (JMException e) {
            LOG.warn("the definitions' consumer may stay in memory after its job", e);
        }
    }

    /** Reads the topic to its end; for tests, with a consumer of their own. */
    DefinitionsFollower(Consumer<byte[], byte[]> consumer, String topic, Clock clock) {
        this.consumer = consumer;
        this.clock = clock;
        try {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(partition -> new TopicPartition(topic, partition.partition()))
                    .toList();
            if (partitions.isEmpty()) {
                throw new IllegalStateException("topic " + topic + " does not exist");
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            catchUp(clock.millis() - MOST_CLOCK_SKEW_MS);
        } catch (RuntimeException e) {
            consumer.close();
            throw e;
        }
    }

    @Override
    public Definition find(String tenantId, String experimentId, int configVersion) {
        return definitions.find(tenantId, experimentId, configVersion);
    }

    @Override
    public Endings endings(String tenantId, String experimentId) {
        return definitions.endings(tenantId, experimentId);
    }

    @Override
    public int size() {
        return definitions.size();
    }

    /**
     * Keeps the book so complete that nothing in effect at a moment of the log is missing. To be called with every append
     * time a task sees; it asks the broker twice a second of the log at most, else it is one comparison.
     *
     * @param appendTimeMs a time that a broker has given to a record: what was appended half the time before that a
     *     definition takes to its effect, is shown by now, so the next such while need not be asked for
     * @throws RuntimeException if the broker cannot be reached for 30 s
     */
    void keepUpWith(long appendTimeMs) {
        if (appendTimeMs - Endings.EFFECT_MS > caughtUpTo) {
            readUpTo(appendTimeMs - Endings.EFFECT_MS, appendTimeMs - SHOWN_AFTER_MS);
        }
    }

    /**
     * {@inheritDoc} It reads to the end of the topic unless {@link #keepUpWith} did.
     *
     * @throws RuntimeException if the broker cannot be reached for 30 s
     */
    @Override
    public void catchUp(long appendTimeMs) {
        if (appendTimeMs > caughtUpTo) {
            readUpTo(appendTimeMs, appendTimeMs);
        }
    }

    /** Reads to the end if nobody else did so meanwhile; then everything up to {@code shownMs} is in the book. */
    private void readUpTo(long neededMs, long shownMs) {
        reading.lock();
        try {
            if (neededMs > caughtUpTo) {
                long longPastMs = clock.millis() - MOST_CLOCK_SKEW_MS;
                TopicReading.toTheEnd(consumer, this::take);
                caughtUpTo = Math.max(shownMs, longPastMs);
            }
        } finally {
            reading.unlock();
        }
    }

    private void take(ConsumerRecord<byte[], byte[]> record) {
        try {
            if (record.value() != null) {
                definitions.add(DefinitionReader.read(record.value(), record.timestamp()));
            }
        } catch (RuntimeException e) {
            LOG.error(
                    "passed over {}-{}@{}, which is no definition",
                    record.topic(),
                    record.partition(),
                    record.offset(),
                    e);
        }
    }
}

package io.livelift.attribution.flink;

import java.time.Duration;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.factories.DynamicTableSourceFactory;
import org.apache.flink.table.factories.FactoryUtil;

/** {@code 'connector' = 'livelift-counted'}: a table of what is counted; its options are described at {@link CountedSource}. */
public final class CountedFactory implements DynamicTableSourceFactory {
    private static final ConfigOption<String> BOOTSTRAP = text("bootstrap");
    private static final ConfigOption<String> TOPIC_PATTERN = text("topic-pattern");
    private static final ConfigOption<String> HEARTBEAT_TOPIC = text("heartbeat-topic");
    private static final ConfigOption<String> GROUP = text("group");
    private static final ConfigOption<Duration> IDLE_TIMEOUT = duration("idle-timeout");
    private static final ConfigOption<Duration> FLUSH_EVERY = duration("flush-every");
    private static final ConfigOption<Duration> FLUSH_SLOTS_EVERY = duration("flush-slots-every");
    private static final ConfigOption<Duration> KEEP_MINUTES = duration("keep-minutes");

    @Override
    public String factoryIdentifier() {
        return "livelift-counted";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(
                BOOTSTRAP,
                TOPIC_PATTERN,
                HEARTBEAT_TOPIC,
                GROUP,
                IDLE_TIMEOUT,
                FLUSH_EVERY,
                FLUSH_SLOTS_EVERY,
                KEEP_MINUTES);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DynamicTableSource createDynamicTableSource(Context context) {
        FactoryUtil.TableFactoryHelper helper = FactoryUtil.createTableFactoryHelper(this, context);
        helper.validate();
        if (!context.getPhysicalRowDataType().getLogicalType().equals(CountedRows.LOGICAL)) {
            throw new ValidationException("table " + context.getObjectIdentifier() + " has the columns "
                    + context.getPhysicalRowDataType() + ", its connector " + CountedRows.TYPE);
        }
        ReadableConfig options = helper.getOptions();
        return new CountedSource(
                options.get(BOOTSTRAP),
                Pattern.compile(options.get(TOPIC_PATTERN)),
                options.get(HEARTBEAT_TOPIC),
                options.get(GROUP),
                options.get(IDLE_TIMEOUT),
                options.get(FLUSH_EVERY),
                options.get(FLUSH_SLOTS_EVERY),
                options.get(KEEP_MINUTES));
    }

    private static ConfigOption<String> text(String name) {
        return ConfigOptions.key(name).stringType().noDefaultValue();
    }

    private static ConfigOption<Duration> duration(String name) {
        return ConfigOptions.key(name).durationType().noDefaultValue();
    }
}

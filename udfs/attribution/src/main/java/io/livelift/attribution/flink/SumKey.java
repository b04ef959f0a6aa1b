package io.livelift.attribution.flink;

import io.livelift.attribution.Series;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.typeinfo.TypeInformation;

/**
 * Which sum: a series and a time, the cohort of a slot or the minute of what is counted by minutes. As bytes: the time in
 * eight, the version in four, then the series' texts in their order, each with its length in two bytes before it.
 */
final class SumKey extends BytesKey {
    static final TypeInformation<SumKey> TYPE = new SerializedBy<>(SumKey.class, new SumKeySerializer());

    private static final int TEXTS_FROM = Long.BYTES + Integer.BYTES;

    SumKey(byte[] bytes) {
        super(bytes);
    }

    /** @param timeMs cohort or minute; 0 of what has none */
    static SumKey of(Series series, long timeMs) {
        byte[][] texts = {
            utf8(series.kind()),
            utf8(series.tenantId()),
            utf8(series.experimentId()),
            utf8(series.variantId()),
            utf8(series.metricId()),
            utf8(series.segment()),
            utf8(series.unitClass())
        };
        int length = TEXTS_FROM;
        for (byte[] text : texts) {
            length += Short.BYTES + text.length;
        }
        ByteBuffer key = ByteBuffer.allocate(length).putLong(timeMs).putInt(series.configVersion());
        for (byte[] text : texts) {
            key.putShort((short) text.length).put(text);
        }
        return new SumKey(key.array());
    }

    long timeMs() {
        return ByteBuffer.wrap(bytes()).getLong();
    }

    String kind() {
        return next(ByteBuffer.wrap(bytes()).position(TEXTS_FROM));
    }

    Series series() {
        ByteBuffer key = ByteBuffer.wrap(bytes()).position(Long.BYTES);
        int configVersion = key.getInt();
        String kind = next(key);
        String tenantId = next(key);
        String experimentId = next(key);
        return new Series(kind, tenantId, experimentId, configVersion, next(key), next(key), next(key), next(key));
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String next(ByteBuffer key) {
        int length = key.getShort() & 0xffff;
        String text = new String(key.array(), key.position(), length, StandardCharsets.UTF_8);
        key.position(key.position() + length);
        return text;
    }
}

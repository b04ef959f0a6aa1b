package io.livelift.attribution;

import java.util.Arrays;

/**
 * What a unit's outcomes add up to in one place, before any cut: y, d, x and e of every metric of the definition.
 *
 * <p>128 bits each, so that no number of outcomes that fits in memory can overflow. Values and weights are in
 * micro-units; d and e of a mean or proportion are numbers of outcomes, and a proportion has no y and x: they follow
 * from d and e.
 */
final class Totals {
    static final int Y = 0;
    static final int D = 1;
    static final int X = 2;
    static final int E = 3;
    private static final int PER_METRIC = 4;

    /** A unit's totals are cut at this and at its negative: 9·10^9 units. */
    private static final long LIMIT_MICROS = 9_000_000_000_000_000L;

    private static final long MICROS = 1_000_000;

    /** A hundredth of a unit: most values have no smaller parts. */
    private static final long COMMON = 10_000;

    private long[] low = new long[4 * PER_METRIC];
    private long[] high = new long[4 * PER_METRIC];
    private int count;

    /** All zero, for a definition with so many metrics. */
    void clear(int metrics) {
        count = metrics * PER_METRIC;
        if (count > low.length) {
            low = new long[count];
            high = new long[count];
        } else {
            Arrays.fill(low, 0, count, 0);
            Arrays.fill(high, 0, count, 0);
        }
    }

    void copyFrom(Totals other) {
        clear(other.count / PER_METRIC);
        System.arraycopy(other.low, 0, low, 0, count);
        System.arraycopy(other.high, 0, high, 0, count);
    }

    /** Adds one outcome to y and d, or to x and e. */
    void add(int metric, Metric.Kind kind, boolean beforeExposure, long valueMicros, long weightMicros) {
        int first = metric * PER_METRIC + (beforeExposure ? X : Y);
        if (kind != Metric.Kind.PROPORTION) {
            add(first, valueMicros);
        }
        add(first + 1, kind == Metric.Kind.RATIO ? weightMicros : 1);
    }

    private void add(int at, long amount) {
        long sum = low[at] + amount;
        long carry = Long.compareUnsigned(sum, amount) < 0 ? 1 : 0;
        low[at] = sum;
        high[at] += (amount >> 63) + carry;
    }

    /** What the unit adds to the metric's slot, cut as the contract says. */
    void contribution(int metric, Metric rule, Contribution into) {
        int at = metric * PER_METRIC;
        if (rule.kind() == Metric.Kind.PROPORTION) {
            into.y = isZero(at + D) ? 0 : MICROS;
            into.x = isZero(at + E) ? 0 : MICROS;
        } else {
            long cap = Math.min(rule.capMicros(), LIMIT_MICROS);
            into.y = cut(at + Y, cap);
            into.x = cut(at + X, cap);
        }
        long unit = rule.kind() == Metric.Kind.RATIO ? 1 : MICROS;
        into.d = unit * cut(at + D, LIMIT_MICROS / unit);
        into.e = unit * cut(at + E, LIMIT_MICROS / unit);
    }

    private boolean isZero(int at) {
        return (low[at] | high[at]) == 0;
    }

    private long cut(int at, long limit) {
        if (high[at] != low[at] >> 63) {
            return high[at] < 0 ? -limit : limit;
        }
        return Math.max(-limit, Math.min(low[at], limit));
    }

    /**
     * For each metric one byte, whose lower four bits say which of the four are not 0, and its upper ones which of
     * those are divided by {@link #COMMON}, as most are; then those that are not 0.
     */
    void writeTo(ByteWriter out) {
        for (int at = 0; at < count; at += PER_METRIC) {
            int head = 0;
            for (int i = 0; i < PER_METRIC; i++) {
                if (!isZero(at + i)) {
                    head |= isShort(at + i) ? 0x11 << i : 1 << i;
                }
            }
            out.u8(head);
            for (int i = 0; i < PER_METRIC; i++) {
                if ((head & 0x10 << i) != 0) {
                    out.signed(low[at + i] / COMMON);
                } else if ((head & 1 << i) != 0) {
                    out.signed(high[at + i], low[at + i]);
                }
            }
        }
    }

    private boolean isShort(int at) {
        return high[at] == low[at] >> 63 && low[at] % COMMON == 0;
    }

    void readFrom(ByteReader in, int metrics) {
        clear(metrics);
        for (int at = 0; at < count; at += PER_METRIC) {
            int head = in.u8();
            for (int i = 0; head != 0 && i < PER_METRIC; i++) {
                if ((head & 0x10 << i) != 0) {
                    low[at + i] = in.signed() * COMMON;
                    high[at + i] = low[at + i] >> 63;
                } else if ((head & 1 << i) != 0) {
                    low[at + i] = in.signed128();
                    high[at + i] = in.high;
                }
            }
        }
    }
}

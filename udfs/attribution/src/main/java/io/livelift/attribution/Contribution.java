package io.livelift.attribution;

/** A unit's cut totals for one metric, in micro-units; each at most 9·10^15, so a product has at most 107 bits. */
final class Contribution {
    long y;
    long d;
    long x;
    long e;

    void clear() {
        y = 0;
        d = 0;
        x = 0;
        e = 0;
    }

    boolean equalTo(Contribution other) {
        return y == other.y && d == other.d && x == other.x && e == other.e;
    }

    /** Adds the totals and their ten products, in the order of the slot's sums. */
    void addTo(SumDelta sums) {
        apply(sums, 1);
    }

    /** Takes the totals and their ten products out. */
    void subtractFrom(SumDelta sums) {
        apply(sums, -1);
    }

    private void apply(SumDelta sums, long sign) {
        if ((y | d) != 0) {
            add(sums, 0, y, sign);
            add(sums, 1, d, sign);
            add(sums, 4, y, sign * y);
            add(sums, 5, y, sign * d);
            add(sums, 8, d, sign * d);
        }
        if ((x | e) != 0) {
            add(sums, 2, x, sign);
            add(sums, 3, e, sign);
            add(sums, 6, y, sign * x);
            add(sums, 7, y, sign * e);
            add(sums, 9, d, sign * x);
            add(sums, 10, d, sign * e);
            add(sums, 11, x, sign * x);
            add(sums, 12, x, sign * e);
            add(sums, 13, e, sign * e);
        }
    }

    private static void add(SumDelta sums, int sum, long a, long b) {
        sums.add(sum, Math.multiplyHigh(a, b), a * b);
    }
}

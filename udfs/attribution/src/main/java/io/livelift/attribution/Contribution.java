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

    /** Sets sums to what the totals and their ten products are more than another's. */
    void minus(Contribution old, SumDelta sums) {
        boolean covariate = (x | e | old.x | old.e) != 0;
        sums.clear();
        sums.add(0, y - old.y);
        sums.add(1, d - old.d);
        if (covariate) {
            sums.add(2, x - old.x);
            sums.add(3, e - old.e);
        }
        add(sums, 4, y, y, old.y, old.y);
        add(sums, 5, y, d, old.y, old.d);
        if (covariate) {
            add(sums, 6, y, x, old.y, old.x);
            add(sums, 7, y, e, old.y, old.e);
        }
        add(sums, 8, d, d, old.d, old.d);
        if (covariate) {
            add(sums, 9, d, x, old.d, old.x);
            add(sums, 10, d, e, old.d, old.e);
            add(sums, 11, x, x, old.x, old.x);
            add(sums, 12, x, e, old.x, old.e);
            add(sums, 13, e, e, old.e, old.e);
        }
    }

    /** The product a·b less the product c·d. */
    private static void add(SumDelta sums, int sum, long a, long b, long c, long d) {
        long first = a * b;
        long second = c * d;
        long low = first - second;
        long borrow = Long.compareUnsigned(first, second) < 0 ? 1 : 0;
        long high = Math.multiplyHigh(a, b) - Math.multiplyHigh(c, d) - borrow;
        if ((low | high) != 0) {
            sums.add(sum, low, high, high >> 63);
        }
    }
}

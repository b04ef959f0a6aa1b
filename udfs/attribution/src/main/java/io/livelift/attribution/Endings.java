package io.livelift.attribution;

import java.util.Arrays;

/**
 * The endings of one experiment: every version that has an {@code ended_at}, with its append time. One thread may add
 * while others read.
 *
 * <p>What is asked here has the same answer once every definition that was in effect at the moment in question is
 * known: later ones do not change it.
 */
public final class Endings {
    /** A definition is in effect from so long after it was appended. */
    public static final long EFFECT_MS = 1_000;

    /** Pairs of ended_at and the moment the version took effect. */
    private volatile long[] endings = {};

    private volatile long effectiveMs = Long.MAX_VALUE;

    /** Adds the ending that a version brings, if it brings one. */
    synchronized void add(Definition version) {
        if (version.endedAtMs() == Definition.NEVER) {
            return;
        }
        long[] more = Arrays.copyOf(endings, endings.length + 2);
        more[endings.length] = version.endedAtMs();
        more[endings.length + 1] = version.appendTimeMs() + EFFECT_MS;
        endings = more;
        effectiveMs = Math.min(effectiveMs, Math.max(version.endedAtMs(), version.appendTimeMs() + EFFECT_MS));
    }

    /** Whether an exposure comes after an ending that was in effect when the exposure was decided. */
    boolean endedBefore(long assignedAtMs, long decidedAtMs) {
        long[] known = endings;
        for (int i = 0; i < known.length; i += 2) {
            if (known[i] < assignedAtMs && known[i + 1] <= decidedAtMs) {
                return true;
            }
        }
        return false;
    }

    /** From when on the experiment has ended and is known to have: {@link Definition#NEVER} while it goes on. */
    long effectiveMs() {
        return effectiveMs;
    }
}

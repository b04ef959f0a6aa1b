package io.livelift.attribution;

/**
 * The definitions known so far. Immutable per key, so an answer is right for ever; only null may change, and endings
 * may be added.
 */
public interface DefinitionBook {
    /**
     * The definition of one version of an experiment, or null while it is not known.
     *
     * <p>The engine keeps what it was given and asks again only after a null. Called for every record that waits, so
     * it must not block for long.
     */
    Definition find(String tenantId, String experimentId, int configVersion);

    /**
     * When the experiment was ended, by whichever of its versions; never null. The same instance for the same
     * experiment, which learns of later endings by itself.
     */
    Endings endings(String tenantId, String experimentId);

    /** How many definitions are in the book; more after each that is added, so as long as it stays nothing is new. */
    int size();

    /**
     * Makes sure that every definition appended up to a moment is in the book; what was appended later may be in it.
     * Called for every record, so it must cost next to nothing when there is nothing to do.
     *
     * @throws RuntimeException if the definitions cannot be had
     */
    void catchUp(long appendTimeMs);
}

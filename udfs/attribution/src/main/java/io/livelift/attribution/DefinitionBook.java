package io.livelift.attribution;

/** The definitions known so far. Immutable per key, so an answer is right for ever; only null may change. */
public interface DefinitionBook {
    /**
     * The definition of one version of an experiment, or null while it is not known.
     *
     * <p>The engine keeps what it was given and asks again only after a null. Called for every record that waits, so
     * it must not block for long.
     */
    Definition find(String tenantId, String experimentId, int configVersion);
}

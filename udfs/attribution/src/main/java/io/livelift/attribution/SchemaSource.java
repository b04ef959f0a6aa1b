package io.livelift.attribution;

/** The writer schemas of the registry. */
public interface SchemaSource {
    /**
     * The schema registered under an id as its JSON text, or null if the registry knows no such id.
     *
     * <p>The decoder keeps every schema it was given; an id that was unknown is asked for again.
     *
     * @throws RuntimeException if the registry cannot be reached: the record must be tried again, not refused
     */
    String find(int schemaId);
}

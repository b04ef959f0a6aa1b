package io.livelift.attribution;

/** Decodes the events of a tenant's topics from the Confluent wire format. */
public final class EventDecoder {
    public EventDecoder(SchemaSource schemas) {}

    static String readerSchema(EventKind kind) {
        return null;
    }
}

package io.livelift.attribution;

/**
 * One record of a tenant's topic as it was received.
 *
 * <p>Mutable so that a caller can reuse one instance for every record; whoever keeps a record copies what he needs.
 * {@link #key} and {@link #value} are never modified and are null where the record had none.
 */
public final class LogRecord {
    /** The tenant the topic belongs to, never taken from the payload. */
    public String tenantId;

    public EventKind kind;
    public byte[] key;
    public byte[] value;
    public String topic;
    public int partition;
    public long offset;

    /** The record's Kafka timestamp, epoch milliseconds. */
    public long appendTimeMs;
}

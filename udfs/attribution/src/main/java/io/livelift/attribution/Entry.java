package io.livelift.attribution;

/** What {@link EventMemory} keeps of one record. Reused: reading fills it with the next one. */
abstract class Entry {
    /** Append time of the record. */
    long appendTimeMs;

    abstract void readFrom(ByteReader in, long baseMs);

    /** Writes what {@link #readFrom} reads; equal entries give equal bytes. */
    abstract void writeTo(ByteWriter out, long baseMs);

    /** Of an assignment only the moment is kept at which its id was taken. */
    static final class OfAssignment extends Entry {
        @Override
        void readFrom(ByteReader in, long baseMs) {
            appendTimeMs = baseMs + in.signed();
        }

        @Override
        void writeTo(ByteWriter out, long baseMs) {
            out.signed(appendTimeMs - baseMs);
        }
    }
}

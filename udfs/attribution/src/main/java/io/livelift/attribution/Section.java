package io.livelift.attribution;

/** One part of a unit's state while it is worked on: bytes kept as they were, and bytes to be added behind them. */
final class Section {
    byte[] buffer;
    int from;
    int to;
    final ByteWriter added = new ByteWriter();

    void load(byte[] newBuffer, int newFrom, int newTo) {
        buffer = newBuffer;
        from = newFrom;
        to = newTo;
        added.clear();
    }

    /** Forgets the bytes that were there; what is added takes their place. */
    void dropOld() {
        to = from;
    }

    int length() {
        return to - from + added.length;
    }

    boolean isEmpty() {
        return length() == 0;
    }

    byte[] toArray() {
        byte[] bytes = new byte[length()];
        writeTo(bytes, 0);
        return bytes;
    }

    void writeTo(byte[] into, int at) {
        System.arraycopy(buffer, from, into, at, to - from);
        System.arraycopy(added.buffer, 0, into, at + to - from, added.length);
    }
}

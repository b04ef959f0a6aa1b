package io.livelift.attribution;

import java.util.Map;
import java.util.TreeMap;

/** Pages in memory that count the bytes that are read and written. */
final class CountingPages implements Pages {
    final Map<Integer, byte[]> pages = new TreeMap<>();
    long bytes;

    @Override
    public byte[] get(int page) {
        byte[] found = pages.get(page);
        bytes += found == null ? 0 : found.length;
        return found;
    }

    @Override
    public void put(int page, byte[] written) {
        bytes += written.length;
        pages.put(page, written);
    }

    @Override
    public void remove(int page) {
        pages.remove(page);
    }
}

package io.livelift.attribution;

import java.util.Arrays;

/**
 * The definitions the engine has met, found by the bytes of an experiment's id without making strings. Asks the book
 * for what it lacks, and keeps every answer but null, because definitions are immutable.
 */
final class DefinitionCache {
    private record Entry(long hash, String tenantId, byte[] experimentId, Definition definition) {}

    private final DefinitionBook book;
    private Entry[] entries = new Entry[64];
    private int count;

    DefinitionCache(DefinitionBook book) {
        this.book = book;
    }

    /** The definition, or null while the book does not have it. */
    Definition find(String tenantId, Slice experimentId, int configVersion) {
        long hash = Hash64.of(experimentId) + configVersion * 0x9e3779b97f4a7c15L ^ tenantId.hashCode();
        for (int at = slot(hash); entries[at] != null; at = at + 1 & entries.length - 1) {
            Entry entry = entries[at];
            if (entry.hash == hash
                    && entry.definition.configVersion() == configVersion
                    && experimentId.matches(entry.experimentId)
                    && entry.tenantId.equals(tenantId)) {
                return entry.definition;
            }
        }
        Definition definition = book.find(tenantId, experimentId.toString(), configVersion);
        if (definition != null) {
            byte[] id = Arrays.copyOfRange(experimentId.buffer, experimentId.from, experimentId.to);
            put(new Entry(hash, tenantId, id, definition));
        }
        return definition;
    }

    private int slot(long hash) {
        return (int) (hash >>> 32) & entries.length - 1;
    }

    private void put(Entry entry) {
        if (++count > entries.length / 2) {
            Entry[] old = entries;
            entries = new Entry[2 * old.length];
            for (Entry moved : old) {
                if (moved != null) {
                    place(moved);
                }
            }
        }
        place(entry);
    }

    private void place(Entry entry) {
        int at = slot(entry.hash);
        while (entries[at] != null) {
            at = at + 1 & entries.length - 1;
        }
        entries[at] = entry;
    }
}

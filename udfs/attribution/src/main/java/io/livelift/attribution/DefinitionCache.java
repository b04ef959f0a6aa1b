package io.livelift.attribution;

import java.util.Arrays;

/**
 * The definitions the engine has met, found by the bytes of an experiment's id without making strings. Asks the book
 * for what it lacks, and keeps every answer but null, because definitions are immutable.
 */
final class DefinitionCache {
    /** A definition, with the endings of its experiment. */
    static final class Known {
        final Definition definition;
        final Endings endings;
        private final long hash;
        private final byte[] experimentId;

        Known(long hash, byte[] experimentId, Definition definition, Endings endings) {
            this.hash = hash;
            this.experimentId = experimentId;
            this.definition = definition;
            this.endings = endings;
        }
    }

    private final DefinitionBook book;
    private Known[] entries = new Known[64];
    private int count;

    DefinitionCache(DefinitionBook book) {
        this.book = book;
    }

    /** The definition, or null while the book does not have it. */
    Known find(String tenantId, Slice experimentId, int configVersion) {
        long hash = Hash64.of(experimentId) + configVersion * 0x9e3779b97f4a7c15L ^ tenantId.hashCode();
        for (int at = slot(hash); entries[at] != null; at = at + 1 & entries.length - 1) {
            Known entry = entries[at];
            if (entry.hash == hash
                    && entry.definition.configVersion() == configVersion
                    && experimentId.matches(entry.experimentId)
                    && entry.definition.tenantId().equals(tenantId)) {
                return entry;
            }
        }
        String id = experimentId.toString();
        Definition definition = book.find(tenantId, id, configVersion);
        if (definition == null) {
            return null;
        }
        byte[] bytes = Arrays.copyOfRange(experimentId.buffer, experimentId.from, experimentId.to);
        Known known = new Known(hash, bytes, definition, book.endings(tenantId, id));
        put(known);
        return known;
    }

    private int slot(long hash) {
        return (int) (hash >>> 32) & entries.length - 1;
    }

    private void put(Known entry) {
        if (++count > entries.length / 2) {
            Known[] old = entries;
            entries = new Known[2 * old.length];
            for (Known moved : old) {
                if (moved != null) {
                    place(moved);
                }
            }
        }
        place(entry);
    }

    private void place(Known entry) {
        int at = slot(entry.hash);
        while (entries[at] != null) {
            at = at + 1 & entries.length - 1;
        }
        entries[at] = entry;
    }
}

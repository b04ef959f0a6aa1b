package io.livelift.attribution;

import java.util.Arrays;

/**
 * The accepted records of one type: whose event ids are taken, and what is kept of them.
 *
 * <p>A few lie within the unit's state. If there are more, all of them lie in pages, each in the one its id's hash
 * names; when pages get full their number is doubled. So a record costs one page to look at and to change, however many
 * there are.
 *
 * <p>As bytes, in the state as on a page: hashes of eight bytes each, then the {@link Entry}s in the same order; a page
 * begins with their number.
 */
final class EventMemory<E extends Entry> {
    /** What a {@link Visitor} wants done with an entry. */
    enum Verdict {
        KEEP,
        CHANGED,
        DROP
    }

    /** Looks at an entry; if it says {@link Verdict#CHANGED}, the entry is written back as it is now. */
    interface Visitor<E> {
        Verdict visit(E entry);
    }

    /** So many entries lie within the state at most. */
    static final int MOST_INLINE = 64;

    /** So many lie on a page on average at most. */
    static final int MOST_ON_A_PAGE = 64;

    private static final int HASH = 8;

    final Section hashes = new Section();
    final Section entries = new Section();

    /** Number of pages, a power of two; 0 while all lies within the state. */
    int buckets;

    /** Number of entries on pages. */
    int paged;

    private final UnitState unit;
    private final int kind;
    private final E entry;
    private final ByteReader reader = new ByteReader();
    private final ByteWriter page = new ByteWriter();
    private final Block block = new Block();
    private Block[] split = {new Block(), new Block()};
    private int openedBucket;
    private byte[] opened;

    /**
     * @param kind distinguishes its pages from those of others
     * @param entry the instance that entries are read into
     */
    EventMemory(UnitState unit, int kind, E entry) {
        this.unit = unit;
        this.kind = kind;
        this.entry = entry;
    }

    /** Entries in the making. */
    private static final class Block {
        final ByteWriter hashes = new ByteWriter();
        final ByteWriter entries = new ByteWriter();

        void clear() {
            hashes.clear();
            entries.clear();
        }

        void add(long hash, byte[] buffer, int from, int to) {
            hashes.fixed64(hash);
            entries.bytes(buffer, from, to);
        }
    }

    /** To be called when the sections and numbers have been set. */
    void loaded() {
        openedBucket = -1;
        opened = null;
    }

    boolean isEmpty() {
        return buckets == 0 && hashes.isEmpty();
    }

    /** Whether the id was taken at some moment or later. */
    boolean isTaken(long hash, long sinceMs) {
        if (buckets == 0) {
            return isTaken(hash, sinceMs, hashes.buffer, hashes.from, hashes.to, entries.buffer, entries.from);
        }
        byte[] bytes = open(bucket(hash));
        if (bytes == null) {
            return false;
        }
        reader.start(bytes, 0);
        int end = HASH * reader.count() + reader.at;
        return isTaken(hash, sinceMs, bytes, reader.at, end, bytes, end);
    }

    private boolean isTaken(long hash, long sinceMs, byte[] buffer, int from, int to, byte[] rest, int entriesFrom) {
        for (int at = from; at < to; at += HASH) {
            if (ByteReader.fixed64(buffer, at) == hash) {
                reader.start(rest, entriesFrom);
                for (int passed = from; passed <= at; passed += HASH) {
                    entry.readFrom(reader, unit.baseMs());
                }
                if (entry.appendTimeMs >= sinceMs) {
                    return true;
                }
            }
        }
        return false;
    }

    /** Adds a record; at most one before the unit is stored. */
    void add(long hash, E added) {
        unit.markChanged();
        if (buckets == 0 && hashes.length() < HASH * MOST_INLINE) {
            hashes.added.fixed64(hash);
            added.writeTo(entries.added, unit.baseMs());
            return;
        }
        if (buckets == 0) {
            rehash(2);
        }
        int bucket = bucket(hash);
        byte[] bytes = open(bucket);
        page.clear();
        if (bytes == null) {
            page.unsigned(1);
            page.fixed64(hash);
        } else {
            reader.start(bytes, 0);
            int count = reader.count();
            int end = HASH * count + reader.at;
            page.unsigned(count + 1L);
            page.bytes(bytes, reader.at, end);
            page.fixed64(hash);
            page.bytes(bytes, end, bytes.length);
        }
        added.writeTo(page, unit.baseMs());
        put(bucket, page.toArray());
        paged++;
        if (paged > buckets * MOST_ON_A_PAGE) {
            rehash(2 * buckets);
        }
    }

    /** Shows every entry that was there when the unit was loaded. */
    void visit(Visitor<E> visitor) {
        if (buckets == 0) {
            int kept = filter(hashes.buffer, hashes.from, hashes.to, entries.buffer, entries.from, visitor);
            if (kept >= 0) {
                hashes.dropOld();
                hashes.added.bytes(block.hashes);
                entries.dropOld();
                entries.added.bytes(block.entries);
                unit.markChanged();
            }
            return;
        }
        int left = 0;
        for (int bucket = 0; bucket < buckets; bucket++) {
            byte[] bytes = open(bucket);
            if (bytes == null) {
                continue;
            }
            reader.start(bytes, 0);
            int count = reader.count();
            int start = reader.at;
            int end = HASH * count + start;
            int kept = filter(bytes, start, end, bytes, end, visitor);
            left += kept < 0 ? count : kept;
            if (kept >= 0) {
                put(bucket, block);
            }
        }
        if (left != paged) {
            paged = left;
            unit.markChanged();
            shrink();
        }
    }

    /** Puts what is to be left into {@link #block} and returns its number; -1 if all stays as it is. */
    private int filter(byte[] buffer, int from, int to, byte[] rest, int entriesFrom, Visitor<E> visitor) {
        block.clear();
        boolean same = true;
        ByteReader in = new ByteReader(); // a visitor may use this memory's own
        in.start(rest, entriesFrom);
        for (int at = from; at < to; at += HASH) {
            int start = in.at;
            entry.readFrom(in, unit.baseMs());
            Verdict verdict = visitor.visit(entry);
            same &= verdict == Verdict.KEEP;
            if (verdict == Verdict.KEEP) {
                block.add(ByteReader.fixed64(buffer, at), rest, start, in.at);
            } else if (verdict == Verdict.CHANGED) {
                block.hashes.fixed64(ByteReader.fixed64(buffer, at));
                entry.writeTo(block.entries, unit.baseMs());
            }
        }
        return same ? -1 : block.hashes.length / HASH;
    }

    private void shrink() {
        if (paged <= MOST_INLINE / 2) {
            rehash(0);
            return;
        }
        int fitting = buckets;
        while (fitting > 2 && paged < fitting * MOST_ON_A_PAGE / 4) {
            fitting /= 2;
        }
        if (fitting != buckets) {
            rehash(fitting);
        }
    }

    /** Distributes all entries anew over so many pages, a power of two; 0 brings them back into the state. */
    private void rehash(int newBuckets) {
        int oldPages = Math.max(1, buckets);
        int newPages = Math.max(1, newBuckets);
        int groups = Math.min(oldPages, newPages); // a group of old pages holds what a group of new ones will
        while (split.length < newPages / groups) {
            Block[] more = Arrays.copyOf(split, 2 * split.length);
            for (int i = split.length; i < more.length; i++) {
                more[i] = new Block();
            }
            split = more;
        }
        int wasBuckets = buckets;
        for (int group = 0; group < groups; group++) {
            for (Block part : split) {
                part.clear();
            }
            if (wasBuckets == 0) {
                deal(hashes.buffer, hashes.from, hashes.to, entries.buffer, entries.from, groups, newPages);
                hashes.dropOld();
                entries.dropOld();
            }
            for (int bucket = group; bucket < wasBuckets; bucket += groups) {
                byte[] bytes = open(bucket);
                if (bytes != null) {
                    reader.start(bytes, 0);
                    int end = HASH * reader.count() + reader.at;
                    deal(bytes, reader.at, end, bytes, end, groups, newPages);
                    if (bucket >= newBuckets) {
                        put(bucket, (byte[]) null);
                    }
                }
            }
            for (int bucket = group; bucket < newBuckets; bucket += groups) {
                put(bucket, split[bucket / groups]);
            }
        }
        buckets = newBuckets;
        if (newBuckets == 0) {
            hashes.added.bytes(split[0].hashes);
            entries.added.bytes(split[0].entries);
            paged = 0;
        } else if (wasBuckets == 0) {
            paged = split[0].hashes.length / HASH + split[1].hashes.length / HASH;
        }
        unit.markChanged();
    }

    private void deal(byte[] buffer, int from, int to, byte[] rest, int entriesFrom, int groups, int newPages) {
        int start = entriesFrom;
        reader.start(rest, start);
        for (int at = from; at < to; at += HASH) {
            entry.readFrom(reader, unit.baseMs());
            long hash = ByteReader.fixed64(buffer, at);
            split[((int) hash & newPages - 1) / groups].add(hash, rest, start, reader.at);
            start = reader.at;
        }
    }

    private int bucket(long hash) {
        return (int) hash & buckets - 1;
    }

    private byte[] open(int bucket) {
        if (bucket != openedBucket) {
            openedBucket = bucket;
            opened = unit.pages().get(number(bucket));
        }
        return opened;
    }

    private void put(int bucket, Block content) {
        if (content.hashes.length == 0) {
            put(bucket, (byte[]) null);
            return;
        }
        page.clear();
        page.unsigned(content.hashes.length / HASH);
        page.bytes(content.hashes);
        page.bytes(content.entries);
        put(bucket, page.toArray());
    }

    /** Null removes the page. */
    private void put(int bucket, byte[] bytes) {
        openedBucket = bucket;
        opened = bytes;
        if (bytes == null) {
            unit.pages().remove(number(bucket));
        } else {
            unit.pages().put(number(bucket), bytes);
        }
    }

    private int number(int bucket) {
        return bucket << UnitState.KIND_BITS | kind;
    }
}

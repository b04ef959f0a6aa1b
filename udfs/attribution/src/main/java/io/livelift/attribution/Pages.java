package io.livelift.attribution;

/**
 * One unit's larger memory: byte arrays by number, read and written one at a time, so that what lies in other pages
 * costs nothing. The engine's state says which pages there are; whoever loses the one must lose the other.
 *
 * <p>Arrays are never modified after they were put or got.
 */
public interface Pages {
    /** The page's bytes, null if there is no such page. */
    byte[] get(int page);

    void put(int page, byte[] bytes);

    void remove(int page);
}

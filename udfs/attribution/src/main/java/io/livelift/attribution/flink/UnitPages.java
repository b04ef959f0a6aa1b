package io.livelift.attribution.flink;

import io.livelift.attribution.Pages;
import org.apache.flink.api.common.state.MapState;

/** The pages of the unit at hand, in Flink's state: nothing is read or written but the page that is asked for. */
final class UnitPages implements Pages {
    private final MapState<Integer, byte[]> pages;

    /** @param pages those of Flink's current key */
    UnitPages(MapState<Integer, byte[]> pages) {
        this.pages = pages;
    }

    @Override
    public byte[] get(int page) {
        try {
            return pages.get(page);
        } catch (Exception e) {
            throw unavailable(page, e);
        }
    }

    @Override
    public void put(int page, byte[] bytes) {
        try {
            pages.put(page, bytes);
        } catch (Exception e) {
            throw unavailable(page, e);
        }
    }

    @Override
    public void remove(int page) {
        try {
            pages.remove(page);
        } catch (Exception e) {
            throw unavailable(page, e);
        }
    }

    private static IllegalStateException unavailable(int page, Exception cause) {
        return new IllegalStateException("page " + page + " of a unit is not to be had from Flink's state", cause);
    }
}

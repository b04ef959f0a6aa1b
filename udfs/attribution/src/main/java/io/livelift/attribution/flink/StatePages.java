package io.livelift.attribution.flink;

import io.livelift.attribution.Pages;
import org.apache.flink.table.api.dataview.MapView;

/** The pages of the unit at hand, in Flink's state: nothing is read or written but the page that is asked for. */
final class StatePages implements Pages {
    private MapView<Integer, byte[]> view;

    /** The pages of the unit that Flink has set the view to. */
    StatePages of(MapView<Integer, byte[]> view) {
        this.view = view;
        return this;
    }

    @Override
    public byte[] get(int page) {
        try {
            return view.get(page);
        } catch (Exception e) {
            throw unavailable(page, e);
        }
    }

    @Override
    public void put(int page, byte[] bytes) {
        try {
            view.put(page, bytes);
        } catch (Exception e) {
            throw unavailable(page, e);
        }
    }

    @Override
    public void remove(int page) {
        try {
            view.remove(page);
        } catch (Exception e) {
            throw unavailable(page, e);
        }
    }

    private static IllegalStateException unavailable(int page, Exception cause) {
        return new IllegalStateException("page " + page + " of a unit is not to be had from Flink's state", cause);
    }
}

package io.livelift.attribution.flink;

import java.io.IOException;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.heap.HeapKeyedStateBackend;

/**
 * What Flink's state keeps of the unit at hand. Two ways, because the state backends differ: on the heap the state is
 * the very object, and changing it in place is all; others hold bytes, so units that were here lately are kept as
 * objects, and are written when a checkpoint begins or others need their place.
 */
interface Units {
    /** The memory of Flink's current key; null if there is none. */
    UnitMemory get() throws IOException;

    /** Sets it; null removes it. {@code before} is what {@link #get} gave. */
    void put(UnitMemory before, byte[] after) throws IOException;

    /** To be called before every checkpoint of the state. */
    void write() throws IOException;

    /** @param mostKept units that are kept as objects, where that is needed */
    static Units in(ValueState<UnitMemory> state, KeyedStateBackend<UnitKey> backend, int mostKept) {
        return backend instanceof HeapKeyedStateBackend ? new OnHeap(state) : new Kept(state, backend, mostKept);
    }

    /** Flink copies an object that a running checkpoint still needs before it hands it out. */
    final class OnHeap implements Units {
        private final ValueState<UnitMemory> state;

        OnHeap(ValueState<UnitMemory> state) {
            this.state = state;
        }

        @Override
        public UnitMemory get() throws IOException {
            return state.value();
        }

        @Override
        public void put(UnitMemory before, byte[] after) throws IOException {
            if (after == null) {
                state.clear();
            } else if (before == null) {
                state.update(new UnitMemory(after));
            } else {
                before.set(after);
            }
        }

        @Override
        public void write() {}
    }

    /** The units used last, of any number. */
    final class Kept implements Units {
        private final ValueState<UnitMemory> state;
        private final KeyedStateBackend<UnitKey> backend;
        private final int mostKept;
        private final LinkedHashMap<UnitKey, Unit> kept = new LinkedHashMap<>(16, 0.75f, true);

        Kept(ValueState<UnitMemory> state, KeyedStateBackend<UnitKey> backend, int mostKept) {
            this.state = state;
            this.backend = backend;
            this.mostKept = mostKept;
        }

        @Override
        public UnitMemory get() throws IOException {
            UnitKey key = backend.getCurrentKey();
            Unit unit = kept.get(key);
            if (unit == null) {
                unit = new Unit();
                unit.memory = state.value();
                kept.put(key, unit);
                makeRoom(key);
            }
            return unit.memory;
        }

        private void makeRoom(UnitKey current) throws IOException {
            if (kept.size() > mostKept) {
                Iterator<Map.Entry<UnitKey, Unit>> eldest = kept.entrySet().iterator();
                Map.Entry<UnitKey, Unit> unit = eldest.next();
                if (unit.getValue().isChanged) {
                    write(unit.getKey(), unit.getValue());
                    backend.setCurrentKey(current);
                }
                eldest.remove();
            }
        }

        @Override
        public void put(UnitMemory before, byte[] after) {
            Unit unit = kept.get(backend.getCurrentKey());
            if (after == null) {
                unit.memory = null;
            } else if (before == null) {
                unit.memory = new UnitMemory(after);
            } else {
                before.set(after);
            }
            unit.isChanged = true;
        }

        @Override
        public void write() throws IOException {
            UnitKey current = backend.getCurrentKey();
            for (Map.Entry<UnitKey, Unit> unit : kept.entrySet()) {
                if (unit.getValue().isChanged) {
                    write(unit.getKey(), unit.getValue());
                }
            }
            if (current != null) {
                backend.setCurrentKey(current);
            }
        }

        private void write(UnitKey key, Unit unit) throws IOException {
            backend.setCurrentKey(key);
            if (unit.memory == null) {
                state.clear();
            } else {
                state.update(unit.memory);
            }
            unit.isChanged = false;
        }

        private static final class Unit {
            private UnitMemory memory;
            private boolean isChanged;
        }
    }
}

package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.MINUTE;
import static io.livelift.attribution.UnitStory.SECOND;
import static io.livelift.attribution.UnitStory.ending;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Units with thousands of events: the same answers, at a cost per event that does not grow with their number. */
class HeavyUnitTest {
    private static final long MICROS = 1_000_000;
    private static final String REVENUE_OF_A = "button/1 A revenue everyone +0h clean";

    private final UnitStory story = new UnitStory();
    private int outcomes;

    @Test
    void the_bytes_an_event_touches_do_not_grow_with_the_number_of_events() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING);
        long few = bytesAnEvent(900, 1_000);
        long many = bytesAnEvent(9_900, 10_000);
        assertTrue(many <= 2 * few, () -> many + " bytes an event at 10,000 events, " + few + " at 1,000");
        assertTrue(many <= 5_000, () -> many + " bytes an event");
        assertTrue(story.state.length < 500, () -> story.state.length + " bytes of state");
        assertEquals(10_000 * MICROS, story.totals(REVENUE_OF_A).get(0));
    }

    /** Between two numbers of outcomes: bytes of the state that were read and written, and of pages. */
    private long bytesAnEvent(int from, int to) {
        while (outcomes < from) {
            anOutcome();
        }
        long before = story.pages.bytes;
        long states = 0;
        for (int i = from; i < to; i++) {
            states += story.state.length;
            anOutcome();
            states += story.state.length;
        }
        return (story.pages.bytes - before + states) / (to - from);
    }

    private void anOutcome() {
        long at = BEGINNING + outcomes++ * SECOND;
        story.outcome("o" + at, "revenue", 1, at, at);
    }

    @Test
    void assignments_too_cost_the_same_however_many_there_are() {
        story.defineButton();
        for (int i = 0; i < 5_000; i++) {
            long before = story.pages.bytes;
            story.assigned("a" + i, "A", BEGINNING + i, BEGINNING + i);
            if (i > 4_900) {
                assertTrue(story.pages.bytes - before < 5_000, () -> story.pages.bytes - before + " bytes");
            }
        }
        story.assigned("a0", "B", BEGINNING, BEGINNING + MINUTE).assigned("a4999", "B", BEGINNING, BEGINNING + MINUTE);
        assertEquals(Collections.nCopies(2, "duplicate"), story.refused);
        assertTrue(story.state.length < 200, () -> story.state.length + " bytes of state");
    }

    @Test
    void every_duplicate_is_found() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < 3_000; i++) {
                story.outcome("o" + i, "revenue", 1, BEGINNING + i, BEGINNING + i);
            }
        }
        assertEquals(Collections.nCopies(3_000, "duplicate"), story.refused);
        assertEquals(3_000 * MICROS, story.totals(REVENUE_OF_A).get(0));
    }

    @Test
    void a_duplicate_changes_neither_state_nor_pages() {
        for (int i = 0; i < 1_000; i++) {
            story.outcome("o" + i, "revenue", 1, BEGINNING + i, BEGINNING + i);
        }
        byte[] state = story.state;
        Map<Integer, byte[]> pages = Map.copyOf(story.pages.pages);
        story.outcome("o77", "revenue", 1, BEGINNING, BEGINNING + MINUTE);
        assertEquals(state, story.state);
        assertEquals(pages, story.pages.pages);
    }

    @Test
    void an_exposure_that_comes_late_counts_all_that_was_waiting_and_a_move_counts_it_anew() {
        for (int i = 0; i < 2_000; i++) {
            story.outcome("o" + i, "revenue", 1, BEGINNING + i * SECOND, BEGINNING + i * SECOND);
        }
        story.defineButton(mean("revenue")).assigned("late", "A", BEGINNING + 1_000 * SECOND, BEGINNING + HOUR);
        assertEquals(1_000 * MICROS, story.totals(REVENUE_OF_A).get(0));
        story.assigned("earlier", "A", BEGINNING + 500 * SECOND, BEGINNING + HOUR);
        assertEquals(1_500 * MICROS, story.totals(REVENUE_OF_A).get(0));
        assertEquals(1_500, story.inLedger("outcomes", Ledger.COUNTED));
        assertEquals(500, story.inLedger("outcomes", Ledger.WAITING));
    }

    @Test
    void pages_go_as_their_events_do_and_the_last_come_back_into_the_state() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING);
        for (int i = 0; i < 5_000; i++) {
            story.outcome("o" + i, "revenue", 1, BEGINNING + i, BEGINNING + i);
        }
        for (int i = 0; i < 20; i++) {
            story.outcome("later" + i, "revenue", 1, BEGINNING + 20 * DAY, BEGINNING + 20 * DAY);
        }
        assertTrue(story.pages.pages.size() > 50, () -> story.pages.pages.size() + " pages");
        story.timePasses(BEGINNING + 50 * DAY);
        assertEquals(Map.of(), story.pages.pages);
        story.outcome("later7", "revenue", 1, BEGINNING + 20 * DAY, BEGINNING + 27 * DAY);
        story.outcome("new", "revenue", 1, BEGINNING + 50 * DAY, BEGINNING + 50 * DAY);
        assertEquals(Collections.nCopies(1, "duplicate"), story.refused);
        assertEquals(5_021 * MICROS, story.totals(REVENUE_OF_A).get(0));
    }

    @Test
    void pages_become_fewer_when_events_do() {
        for (int i = 0; i < 10_000; i++) {
            story.outcome("o" + i, "revenue", 1, BEGINNING + i, BEGINNING + i);
        }
        for (int i = 0; i < 500; i++) {
            story.outcome("later" + i, "revenue", 1, BEGINNING + 20 * DAY, BEGINNING + 20 * DAY);
        }
        story.timePasses(BEGINNING + 46 * DAY);
        assertTrue(story.pages.pages.size() <= 32, () -> story.pages.pages.size() + " pages");
        story.outcome("later499", "revenue", 1, BEGINNING + 20 * DAY, BEGINNING + 27 * DAY)
                .outcome("o9999", "revenue", 1, BEGINNING + 44 * DAY, BEGINNING + 46 * DAY);
        assertEquals(Collections.nCopies(1, "duplicate"), story.refused);
    }

    @Test
    void in_the_end_nothing_is_left() {
        story.defineButton(mean("revenue"));
        for (int i = 0; i < 2_000; i++) {
            story.outcome("o" + i, "revenue", 1, BEGINNING + i, BEGINNING + i)
                    .assigned("a" + i, "A", BEGINNING + i, BEGINNING + i)
                    .assigned(
                            Events.assignment(UnitStory.UNIT, "w" + i, "unknown", 1, "A", BEGINNING + i),
                            BEGINNING + i);
        }
        story.define(ending(2, BEGINNING + HOUR, BEGINNING + HOUR))
                .wokenAt(BEGINNING + 8 * DAY)
                .timePasses(BEGINNING + 60 * DAY);
        assertNull(story.state);
        assertEquals(Map.of(), story.pages.pages);
        assertEquals(
                "4000: counted 2000 unknown_definition 2000", story.ledger().get("assignments +0min"));
    }

    @Test
    void waking_at_the_end_of_time_leaves_nothing_either() {
        story.outcome("revenue", 1, BEGINNING).wokenAt(Long.MAX_VALUE);
        assertNull(story.state);
        assertEquals(Map.of("outcomes +0min", "1: expired_unmatched 1"), story.ledger());
    }
}

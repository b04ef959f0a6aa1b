package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.MINUTE;
import static io.livelift.attribution.UnitStory.SECOND;
import static io.livelift.attribution.UnitStory.UNIT;
import static io.livelift.attribution.UnitStory.button;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Rule 8: assignments that come before their definition, and the ids they take. */
class WaitingAssignmentsTest {
    private static final long HORIZON = UnitStory.RULES.horizonMs();
    private static final long TOO_LATE = BEGINNING + HORIZON + 1;

    private final UnitStory story = new UnitStory();

    @Test
    void an_assignment_counts_with_its_outcomes_once_its_definition_is_there() {
        story.assigned("A", BEGINNING).outcome("revenue", 3, BEGINNING + HOUR);
        assertEquals(Map.of(), story.units());
        story.define(button(1, BEGINNING + HORIZON, 0, mean("revenue"))).wokenAt(BEGINNING + HORIZON);
        assertEquals(Map.of("button/1 A exposure everyone +0h clean", 1L), story.units());
        assertEquals(
                3_000_000L,
                story.totals("button/1 A revenue everyone +0h clean").get(0));
    }

    @Test
    void after_the_horizon_the_record_comes_back_as_it_was_received() {
        byte[] value = Events.encode(1, Events.assignment(UNIT, "a", "button", 1, "A", BEGINNING));
        story.outcome("clicks", 1, BEGINNING)
                .received(EventKind.ASSIGNMENT, value, BEGINNING)
                .wokenAt(BEGINNING + HORIZON);
        assertEquals(List.of(), story.refused);
        assertEquals(TOO_LATE, story.wakeAtMs());
        story.wokenAt(TOO_LATE);
        assertEquals(List.of("unknown_definition"), story.refused);
        LogRecord refused = story.refusedRecords.get(0);
        assertArrayEquals(value, refused.value);
        assertEquals(
                "livelift.acme.assignments 3 1 " + BEGINNING + " " + UNIT,
                refused.topic + " " + refused.partition + " " + refused.offset + " " + refused.appendTimeMs + " "
                        + new String(refused.key));
        assertEquals(
                Map.of("assignments +0min", "1: unknown_definition 1", "outcomes +0min", "1: waiting 1"),
                story.ledger());
    }

    @Test
    void a_definition_that_came_after_the_horizon_does_not_help() {
        story.assigned("A", BEGINNING).define(button(1, TOO_LATE, 0)).wokenAt(TOO_LATE);
        assertEquals(List.of("unknown_definition"), story.refused);
    }

    @Test
    void a_definition_that_came_in_time_helps_however_late_it_is_looked_for() {
        story.assigned("A", BEGINNING).define(button(1, TOO_LATE - 1, 0)).wokenAt(TOO_LATE + 30 * DAY);
        assertEquals(Map.of("button/1 A exposure everyone +0h clean", 1L), story.units());
        assertEquals(Map.of("assignments +0min", "1: counted 1"), story.ledger());
    }

    @Test
    void a_definition_that_is_known_before_it_is_in_effect_decides_at_once() {
        story.define(button(1, BEGINNING, 0)).assigned("A", BEGINNING);
        assertEquals(Map.of("button/1 A exposure everyone +0h clean", 1L), story.units());
    }

    @Test
    void a_variant_the_definition_lacks_is_refused_and_takes_no_id() {
        story.defineButton().assigned("a", "C", BEGINNING, BEGINNING).assigned("a", "B", BEGINNING, BEGINNING);
        assertEquals(List.of("unknown_variant"), story.refused);
        assertEquals(Map.of("button/1 B exposure everyone +0h clean", 1L), story.units());
    }

    @Test
    void a_record_that_had_to_wait_keeps_its_id_even_if_its_variant_is_refused() {
        story.assigned("a", "C", BEGINNING, BEGINNING)
                .define(button(1, BEGINNING + 1, 0))
                .assigned("a", "B", BEGINNING, BEGINNING + 2)
                .wokenAt(BEGINNING + SECOND);
        assertEquals(List.of("duplicate", "unknown_variant"), story.refused);
        assertEquals(Map.of("assignments +0min", "2: duplicate 1 unknown_variant 1"), story.ledger());
    }

    @Test
    void a_record_of_the_second_before_its_definition_takes_effect_has_waited() {
        story.define(button(1, BEGINNING, 0))
                .assigned("early", "C", BEGINNING, BEGINNING + SECOND - 1)
                .assigned("late", "C", BEGINNING, BEGINNING + SECOND)
                .assigned("early", "A", BEGINNING, BEGINNING + SECOND)
                .assigned("late", "B", BEGINNING, BEGINNING + SECOND);
        assertEquals(List.of("unknown_variant", "unknown_variant", "duplicate"), story.refused);
        assertEquals(Map.of("button/1 B exposure everyone +0h clean", 1L), story.units());
    }

    @Test
    void a_waiting_assignment_has_no_part_in_what_is_counted() {
        story.define(button(2, BEGINNING - DAY, 0))
                .assigned("B", BEGINNING)
                .assigned(Events.assignment(UNIT, "second", "button", 2, "A", BEGINNING + 1), BEGINNING + 1);
        assertEquals(Map.of("button/2 A exposure everyone +0h clean", 1L), story.units());
        story.define(button(1, BEGINNING + 2, 0)).wokenAt(BEGINNING + SECOND);
        assertEquals(Map.of("button/1 B exposure everyone +0h crossed", 1L), story.units());
    }

    @Test
    void the_looks_come_soon_at_first_and_then_every_ten_seconds() {
        story.assigned("A", BEGINNING);
        long now = BEGINNING;
        for (long second : new long[] {1, 2, 4, 8, 10, 20, 30}) {
            assertEquals(BEGINNING + second * SECOND, story.wakeAtMs());
            story.outcome("clicks", 1, story.wakeAtMs() - 1);
            assertEquals(BEGINNING + second * SECOND, story.wakeAtMs());
            now = story.wakeAtMs();
            story.wokenAt(now);
        }
        assertEquals(
                BEGINNING + 24 * HOUR + 300 * SECOND,
                story.wokenAt(BEGINNING + 24 * HOUR).wakeAtMs());
    }

    @Test
    void where_very_many_wait_they_are_refused_together() {
        for (int i = 0; i < 3_000; i++) {
            story.assigned("a" + i, "A", BEGINNING + i, BEGINNING + i);
        }
        long newest = BEGINNING + 2_999;
        story.wokenAt(BEGINNING + HORIZON - SECOND);
        assertEquals(newest + HORIZON, story.wakeAtMs());
        story.wokenAt(newest + HORIZON);
        assertEquals(2_999, story.inLedger("assignments", Ledger.column(Reason.UNKNOWN_DEFINITION)));
        assertEquals(newest + HORIZON + 1, story.wakeAtMs());
        story.wokenAt(newest + HORIZON + 1);
        assertEquals(Map.of("assignments +0min", "3000: unknown_definition 3000"), story.ledger());
    }

    @Test
    void a_look_reads_what_waits_only_if_something_can_be_decided() {
        for (int i = 0; i < 3_000; i++) {
            story.assigned("a" + i, "A", BEGINNING + i, BEGINNING + i);
        }
        long before = story.pages.bytes;
        story.timePasses(BEGINNING + HORIZON);
        assertEquals(before, story.pages.bytes);
        story.define(button(2, BEGINNING + HORIZON, 0)).wokenAt(story.wakeAtMs());
        assertTrue(story.pages.bytes > before + 100_000);
    }

    @Test
    void thousands_of_waiting_assignments_leave_the_state_small_and_count_all_the_same() {
        int waiting = 3_000;
        for (int i = 0; i < waiting; i++) {
            story.assigned("a" + i, i == 7 ? "B" : "A", BEGINNING + i, BEGINNING + i);
        }
        assertTrue(story.state.length < 4_000, () -> story.state.length + " bytes of state");
        long bytes = story.pages.bytes;
        story.assigned("one more", "A", BEGINNING, BEGINNING + waiting)
                .assigned("a5", "A", BEGINNING, BEGINNING + waiting);
        assertTrue(story.pages.bytes < bytes + 10_000, () -> story.pages.bytes - bytes + " bytes for two records");
        story.wokenAt(BEGINNING + 10 * SECOND);
        assertEquals(List.of("duplicate"), story.refused);
        story.define(button(1, BEGINNING + 20 * SECOND, 0)).timePasses(BEGINNING + 30 * SECOND);
        assertEquals(Map.of("button/1 A exposure everyone +0h crossed", 1L), story.units());
        assertEquals(Map.of("assignments +0min", "3002: counted 3001 duplicate 1"), story.ledger());
        assertEquals(BEGINNING + HORIZON + 10 * MINUTE + DAY + 1, story.wakeAtMs());
    }

    @Test
    void of_many_that_wait_those_decided_go_and_the_others_stay() {
        for (int i = 0; i < 200; i++) {
            story.assigned(Events.assignment(UNIT, "a" + i, "button", 1 + i % 2, "A", BEGINNING + i), BEGINNING + i);
        }
        story.define(button(2, BEGINNING + SECOND, 0)).wokenAt(BEGINNING + 2 * SECOND);
        assertEquals(Map.of("assignments +0min", "200: counted 100 waiting 100"), story.ledger());
        story.timePasses(TOO_LATE + 100).timePasses(TOO_LATE + 200);
        assertEquals(Map.of("assignments +0min", "200: counted 100 unknown_definition 100"), story.ledger());
        assertEquals(100, story.refused.size());
        assertEquals(Map.of("button/2 A exposure everyone +0h clean", 1L), story.units());
    }
}

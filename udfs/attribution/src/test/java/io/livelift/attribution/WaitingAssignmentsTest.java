package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
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
        assertEquals(Long.MAX_VALUE, story.wakeAtMs());
    }

    @Test
    void any_event_of_the_unit_looks_again() {
        story.assigned("A", BEGINNING).define(button(1, BEGINNING + SECOND, 0)).outcome("clicks", 1, BEGINNING + HOUR);
        assertEquals(Map.of("button/1 A exposure everyone +0h clean", 1L), story.units());
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
        assertEquals(Long.MAX_VALUE, story.wakeAtMs());
    }

    @Test
    void a_definition_that_came_after_the_horizon_does_not_help() {
        story.assigned("A", BEGINNING).define(button(1, TOO_LATE, 0)).outcome("clicks", 1, BEGINNING + HOUR);
        assertEquals(List.of("unknown_definition"), story.refused);
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
                .assigned("a", "B", BEGINNING, BEGINNING + 2);
        assertEquals(List.of("unknown_variant", "duplicate"), story.refused);
    }

    @Test
    void a_definition_that_was_only_seen_late_decides_as_if_it_had_been_seen_in_time() {
        story.assigned("a", "C", BEGINNING, BEGINNING)
                .assigned("a", "B", BEGINNING, BEGINNING + 1)
                .assigned("a", "A", BEGINNING, BEGINNING + 2);
        assertEquals(List.of(), story.refused);
        story.define(button(1, BEGINNING - DAY, 0)).wokenAt(BEGINNING + SECOND);
        assertEquals(List.of("unknown_variant", "duplicate"), story.refused);
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
    void a_record_behind_one_that_may_wait_longer_is_not_looked_at_without_end() {
        story.assigned("a", "A", BEGINNING, BEGINNING + HOUR).assigned("a", "B", BEGINNING, BEGINNING);
        story.wokenAt(TOO_LATE);
        assertEquals(List.of(), story.refused);
        assertTrue(story.wakeAtMs() > TOO_LATE);
        story.wokenAt(TOO_LATE + HOUR);
        assertEquals(List.of("unknown_definition", "duplicate"), story.refused);
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
}

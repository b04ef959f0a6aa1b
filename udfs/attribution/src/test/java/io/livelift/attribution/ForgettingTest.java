package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.RULES;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Rule 9: what is kept for how long, and that nobody can tell. */
class ForgettingTest {
    private static final long MICROS = 1_000_000;
    private static final long MEMORY = RULES.horizonMs() + RULES.futureMs();
    private static final String REVENUE_OF_A = "button/1 A revenue everyone +0h clean";

    private final UnitStory story = new UnitStory();

    @Test
    void an_id_is_free_again_after_horizon_and_future() {
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING)
                .outcome("o", "revenue", 1, BEGINNING, BEGINNING)
                .outcome("o", "revenue", 10, BEGINNING + MEMORY, BEGINNING + MEMORY)
                .outcome("o", "revenue", 100, BEGINNING + MEMORY + 1, BEGINNING + MEMORY + 1)
                .outcome("o", "revenue", 1000, BEGINNING + MEMORY + 2, BEGINNING + MEMORY + 2);
        assertEquals(List.of("duplicate", "duplicate"), story.refused);
        assertEquals(101 * MICROS, story.totals(REVENUE_OF_A).get(0));
    }

    @Test
    void an_assignments_id_is_free_again_as_soon() {
        story.defineButton()
                .assigned("a", "A", BEGINNING, BEGINNING)
                .assigned("a", "B", BEGINNING + MEMORY, BEGINNING + MEMORY)
                .assigned("a", "B", BEGINNING + MEMORY + 1, BEGINNING + MEMORY + 1);
        assertEquals(List.of("duplicate"), story.refused);
        assertEquals(Map.of("button/1 A exposure everyone +0h crossed", 1L), story.units());
    }

    @Test
    void a_record_that_is_read_a_day_late_still_finds_the_ids_of_its_time() {
        story.outcome("o", "revenue", 1, BEGINNING, BEGINNING)
                .timePasses(BEGINNING + MEMORY + RULES.maxSkewMs())
                .outcome("o", "revenue", 1, BEGINNING + MEMORY, BEGINNING + MEMORY);
        assertEquals(List.of("duplicate"), story.refused);
    }

    @Test
    void a_user_who_comes_back_after_40_days_is_still_in_his_place() {
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING)
                .outcome("revenue", 1, BEGINNING + HOUR)
                .timePasses(BEGINNING + 40 * DAY)
                .assigned("B", BEGINNING + 40 * DAY)
                .outcome("revenue", 2, BEGINNING + 40 * DAY);
        String crossed = "button/1 A revenue everyone +0h crossed";
        assertEquals(3 * MICROS, story.totals(crossed).get(0));
        assertEquals(Map.of("button/1 A exposure everyone +0h crossed", 1L), story.units());
    }

    @Test
    void while_an_exposure_can_still_change_its_outcomes_are_all_there() {
        long retention = RULES.retentionMs();
        long lastMoment = BEGINNING + retention + MEMORY;
        story.define(UnitStory.button(1, BEGINNING - DAY, 40 * DAY, mean("revenue")))
                .outcome("o", "revenue", 1, BEGINNING, BEGINNING)
                .assigned("first", "A", BEGINNING + retention + RULES.futureMs(), BEGINNING + retention)
                .timePasses(lastMoment + RULES.maxSkewMs())
                .assigned("earlier", "B", BEGINNING + retention + RULES.futureMs() - 1, lastMoment - 1)
                .timePasses(lastMoment + RULES.maxSkewMs());
        assertEquals(1, story.units().size());
        // The earlier exposure was appended too long after the outcome to count it, and the other one had counted it.
        assertEquals(Set.of(), story.metricSlots());
        assertEquals("1: expired_unmatched 1", story.ledger().get("outcomes +0min"));
    }

    @Test
    void nothing_of_a_unit_that_was_in_no_experiment_is_left_after_a_while() {
        story.defineButton().outcome("revenue", 1, BEGINNING).timePasses(BEGINNING + 60 * DAY);
        assertNull(story.state);
        assertEquals(Long.MAX_VALUE, story.wakeAtMs());
    }

    @Test
    void nothing_is_forgotten_while_an_assignment_waits() {
        Rules patient = new Rules(7 * DAY, 0, HOUR, 0, "local");
        UnitStory other = new UnitStory(patient);
        other.outcome("o", "revenue", 1, BEGINNING + DAY, BEGINNING + DAY)
                .assigned("a", "A", BEGINNING + DAY, BEGINNING + DAY + HOUR)
                .timePasses(BEGINNING + 8 * DAY + HOUR)
                .define(UnitStory.button(1, BEGINNING + 8 * DAY + HOUR, 0, mean("revenue")))
                .timePasses(BEGINNING + 9 * DAY);
        assertEquals(
                MICROS, other.totals("button/1 A revenue everyone +24h clean").get(0));
    }

    @Test
    void a_wakening_that_is_not_due_changes_nothing() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING).outcome("clicks", 1, BEGINNING);
        byte[] state = story.state;
        long wakeAt = story.wakeAtMs();
        story.wokenAt(wakeAt - 1);
        assertEquals(state, story.state);
        assertEquals(wakeAt, story.wakeAtMs());
    }
}

package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.MINUTE;
import static io.livelift.attribution.UnitStory.RULES;
import static io.livelift.attribution.UnitStory.SECOND;
import static io.livelift.attribution.UnitStory.ending;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What an ended experiment still counts, and when nothing of it is left. */
class EndingsTest {
    private static final long MICROS = 1_000_000;
    private static final long HORIZON = RULES.horizonMs();
    private static final long ONE_DAY_LATER = BEGINNING + DAY;
    private static final String UNIT_OF_A = "button/1 A exposure everyone +0h clean";
    private static final String REVENUE_OF_A = "button/1 A revenue everyone +0h clean";

    private final UnitStory story = new UnitStory();

    @Test
    void an_exposure_after_the_end_is_refused_and_one_at_its_moment_is_not() {
        story.defineButton()
                .define(ending(2, BEGINNING - HOUR, BEGINNING))
                .assigned("at", "A", BEGINNING, BEGINNING)
                .assigned("after", "B", BEGINNING + 1, BEGINNING + 1);
        assertEquals(List.of("ended"), story.refused);
        assertEquals(Map.of(UNIT_OF_A, 1L), story.units());
        assertEquals(Map.of("assignments +0min", "2: counted 1 ended 1"), story.ledger());
    }

    @Test
    void an_ending_is_in_effect_one_second_after_it_was_appended() {
        story.defineButton()
                .define(ending(2, ONE_DAY_LATER, BEGINNING))
                .assigned("before", "A", BEGINNING + HOUR, ONE_DAY_LATER + SECOND - 1)
                .assigned("then", "B", BEGINNING + HOUR, ONE_DAY_LATER + SECOND);
        assertEquals(List.of("ended"), story.refused);
        assertEquals(Map.of("button/1 A exposure everyone +1h clean", 1L), story.units());
    }

    @Test
    void what_was_counted_before_the_ending_was_known_stays_counted() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING);
        story.define(ending(2, ONE_DAY_LATER, BEGINNING - DAY)).outcome("revenue", 1, ONE_DAY_LATER + HOUR);
        assertEquals(Map.of(UNIT_OF_A, 1L), story.units());
        assertEquals(MICROS, story.totals(REVENUE_OF_A).get(0));
    }

    @Test
    void the_least_of_several_endings_counts() {
        story.defineButton()
                .define(ending(2, BEGINNING - DAY, BEGINNING + DAY))
                .define(ending(3, BEGINNING - HOUR, BEGINNING))
                .assigned("A", BEGINNING + HOUR);
        assertEquals(List.of("ended"), story.refused);
    }

    @Test
    void a_refused_exposure_takes_its_id_only_if_it_had_to_wait() {
        story.define(ending(1, BEGINNING - DAY, BEGINNING))
                .assigned("a", "A", BEGINNING + 1, BEGINNING + 1)
                .assigned("a", "A", BEGINNING, BEGINNING + 2);
        assertEquals(List.of("ended"), story.refused);
        assertEquals(Map.of(UNIT_OF_A, 1L), story.units());
    }

    @Test
    void an_exposure_that_waited_is_decided_by_what_was_in_effect_with_its_definition() {
        story.assigned("a", "A", BEGINNING + 1, BEGINNING + 1)
                .assigned("b", "A", BEGINNING, BEGINNING + 1)
                .define(ending(2, BEGINNING + HOUR, BEGINNING))
                .define(UnitStory.button(1, BEGINNING + 2 * HOUR, 0))
                .timePasses(BEGINNING + 3 * HOUR)
                .assigned("a", "A", BEGINNING, BEGINNING + 3 * HOUR);
        assertEquals(List.of("ended", "duplicate"), story.refused);
        assertEquals(Map.of(UNIT_OF_A, 1L), story.units());
    }

    @Test
    void an_ending_that_came_after_the_definition_does_not_refuse_what_waited_for_it() {
        story.assigned("A", BEGINNING)
                .define(UnitStory.button(1, BEGINNING + HOUR, 0))
                .define(ending(2, BEGINNING + HOUR + 1, BEGINNING - DAY))
                .timePasses(BEGINNING + 2 * HOUR);
        assertEquals(List.of(), story.refused);
        assertEquals(Map.of(UNIT_OF_A, 1L), story.units());
    }

    @Test
    void a_place_closes_one_horizon_after_the_end() {
        long closes = ONE_DAY_LATER + HORIZON;
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING)
                .define(ending(2, BEGINNING + HOUR, ONE_DAY_LATER, mean("revenue")))
                .outcome("revenue", 1, closes)
                .outcome("revenue", 10, closes + 1);
        assertEquals(MICROS, story.totals(REVENUE_OF_A).get(0));
        assertEquals("2: counted 1 waiting 1", story.ledger().get("outcomes +11520min"));
    }

    @Test
    void a_place_does_not_close_before_its_longest_window_and_a_horizon_have_passed() {
        Metric week = new Metric("week", new Utf8("revenue"), Metric.Kind.MEAN, Long.MAX_VALUE, 0, 7 * DAY);
        long closes = BEGINNING + 7 * DAY + HORIZON;
        story.defineButton(week, mean("revenue"))
                .assigned("A", BEGINNING)
                .define(ending(2, BEGINNING + HOUR, BEGINNING + HOUR))
                .outcome("late", "revenue", 1, BEGINNING + 7 * DAY, closes)
                .outcome("later", "revenue", 10, BEGINNING + 7 * DAY + 1, closes + 1);
        assertEquals(MICROS, story.totals(REVENUE_OF_A).get(0));
        assertEquals(
                0L,
                story.metricSlots().stream()
                        .filter(slot -> slot.contains("week"))
                        .count());
    }

    @Test
    void after_the_end_everything_goes_and_what_was_counted_stays() {
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING)
                .outcome("revenue", 1, BEGINNING + HOUR)
                .define(ending(2, BEGINNING + 2 * HOUR, ONE_DAY_LATER));
        story.timePasses(BEGINNING + 30 * DAY);
        assertNotNull(story.state);
        story.timePasses(BEGINNING + 60 * DAY);
        assertNull(story.state);
        assertEquals(Long.MAX_VALUE, story.wakeAtMs());
        assertEquals(Map.of(UNIT_OF_A, 1L), story.units());
        assertEquals(MICROS, story.totals(REVENUE_OF_A).get(0));
        assertEquals("1: counted 1", story.ledger().get("outcomes +60min"));
    }

    @Test
    void an_experiment_that_goes_on_keeps_the_unit_for_as_long_and_nothing_more() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING);
        for (int i = 0; i < 60; i++) {
            story.outcome("revenue", 1, BEGINNING + i * MINUTE);
        }
        int full = story.state.length;
        story.timePasses(BEGINNING + 400 * DAY);
        int left = story.state.length;
        assertTrue(left < 80 && left < full / 8, () -> left + " of " + full + " bytes");
        story.outcome("revenue", 1, BEGINNING + 400 * DAY);
        assertEquals(61 * MICROS, story.totals(REVENUE_OF_A).get(0));
        story.assigned("B", BEGINNING + 400 * DAY);
        assertEquals(Map.of("button/1 A exposure everyone +0h crossed", 1L), story.units());
    }
}

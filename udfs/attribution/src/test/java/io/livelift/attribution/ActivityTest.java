package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.MINUTE;
import static io.livelift.attribution.UnitStory.UNIT;
import static io.livelift.attribution.UnitStory.button;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.junit.jupiter.api.Test;

/** What happened in which minute, by variant and metric. */
class ActivityTest {
    private final UnitStory story = new UnitStory();

    @Test
    void exposures_and_outcomes_are_counted_in_the_minute_in_which_they_happened() {
        story.defineButton(mean("revenue"))
                .assigned("a", "A", BEGINNING, BEGINNING + HOUR)
                .outcome("o1", "revenue", 1.5, BEGINNING + MINUTE, BEGINNING + DAY)
                .outcome("o2", "revenue", -4, BEGINNING + 2 * MINUTE - 1, BEGINNING + DAY)
                .outcome("o3", "revenue", 0, BEGINNING + 2 * MINUTE, BEGINNING + DAY);
        assertEquals(
                Map.of(
                        "button/1 A exposure +0min", "1",
                        "button/1 A revenue +1min", "2 of -2500000",
                        "button/1 A revenue +2min", "1 of 0"),
                story.activity());
    }

    @Test
    void an_outcome_counts_once_for_each_metric_whose_window_it_is_in_and_uncapped() {
        Metric capped = new Metric("capped", new Utf8("revenue"), Metric.Kind.MEAN, 1_000_000, 0, DAY);
        Metric share = new Metric("share", new Utf8("revenue"), Metric.Kind.PROPORTION, Long.MAX_VALUE, 0, DAY);
        Metric later = new Metric("later", new Utf8("revenue"), Metric.Kind.MEAN, Long.MAX_VALUE, DAY, 2 * DAY);
        story.defineButton(capped, share, later).assigned("A", BEGINNING).outcome("revenue", 9, BEGINNING);
        assertEquals(
                Map.of(
                        "button/1 A exposure +0min", "1",
                        "button/1 A capped +0min", "1 of 9000000",
                        "button/1 A share +0min", "1 of 9000000"),
                story.activity());
    }

    @Test
    void the_covariate_is_no_activity() {
        story.define(button(1, BEGINNING - DAY, DAY, mean("revenue")))
                .outcome("revenue", 1, BEGINNING - 1)
                .assigned("A", BEGINNING);
        assertEquals(Map.of("button/1 A exposure +0min", "1"), story.activity());
    }

    @Test
    void later_exposures_and_other_classes_change_nothing() {
        GenericData.Record bot = Events.assignment(UNIT, "bot", "button", 1, "A", BEGINNING + HOUR);
        bot.put("is_bot", true);
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING)
                .outcome("revenue", 1, BEGINNING)
                .assigned("B", BEGINNING + MINUTE)
                .assigned(bot, BEGINNING + HOUR);
        assertEquals(
                Map.of("button/1 A exposure +0min", "1", "button/1 A revenue +0min", "1 of 1000000"), story.activity());
    }

    @Test
    void an_earlier_exposure_that_arrives_late_moves_all_of_it() {
        Metric day = new Metric("revenue", new Utf8("revenue"), Metric.Kind.MEAN, Long.MAX_VALUE, 0, DAY);
        story.defineButton(day)
                .assigned("A", BEGINNING + HOUR)
                .outcome("revenue", 1, BEGINNING + HOUR)
                .outcome("revenue", 2, BEGINNING + DAY)
                .outcome("revenue", 4, BEGINNING)
                .assigned("b", "B", BEGINNING, BEGINNING + 2 * HOUR);
        assertEquals(
                Map.of(
                        "button/1 B exposure +0min", "1",
                        "button/1 B revenue +0min", "1 of 4000000",
                        "button/1 B revenue +60min", "1 of 1000000"),
                story.activity());
    }

    @Test
    void an_earlier_exposure_in_the_same_variant_moves_only_what_changes() {
        Metric day = new Metric("revenue", new Utf8("revenue"), Metric.Kind.MEAN, Long.MAX_VALUE, 0, DAY);
        story.defineButton(day)
                .assigned("A", BEGINNING + HOUR)
                .outcome("revenue", 1, BEGINNING + HOUR)
                .outcome("revenue", 2, BEGINNING + DAY)
                .outcome("revenue", 4, BEGINNING);
        int before = story.activityRows;
        story.assigned("b", "A", BEGINNING, BEGINNING + 2 * HOUR);
        assertEquals(before + 4, story.activityRows);
        assertEquals(
                Map.of(
                        "button/1 A exposure +0min", "1",
                        "button/1 A revenue +0min", "1 of 4000000",
                        "button/1 A revenue +60min", "1 of 1000000"),
                story.activity());
    }
}

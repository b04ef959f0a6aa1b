package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.MINUTE;
import static io.livelift.attribution.UnitStory.UNIT;
import static io.livelift.attribution.UnitStory.button;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.junit.jupiter.api.Test;

/** Rules 1 to 5 and 7 of the contract, and deduplication, on histories small enough to be worked by hand. */
class UnitEngineTest {
    private static final long MICROS = 1_000_000;
    private static final long ONE_HOUR_LATER = BEGINNING + HOUR;
    private static final long ONE_DAY_LATER = BEGINNING + DAY;

    private final UnitStory story = new UnitStory();

    @Test
    void a_unit_counts_in_the_cohort_of_its_first_exposure_and_its_outcomes_beside_it() {
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING + 59 * MINUTE)
                .outcome("revenue", 2.5, ONE_HOUR_LATER)
                .outcome("revenue", 1, ONE_DAY_LATER);
        assertEquals(Map.of("button/1 A exposure everyone +0h clean", 1L), story.units());
        BigInteger[] sums = story.all("button/1 A revenue everyone +0h clean");
        assertEquals(List.of(3_500_000L, 2 * MICROS, 0L, 0L), story.totals("button/1 A revenue everyone +0h clean"));
        assertEquals(BigInteger.valueOf(3_500_000L * 3_500_000L), sums[4]); // yy
        assertEquals(BigInteger.valueOf(3_500_000L * 2 * MICROS), sums[5]); // yd
        assertEquals(BigInteger.valueOf(4 * MICROS * MICROS), sums[8]); // dd
    }

    @Test
    void an_earlier_exposure_that_arrives_late_moves_the_unit_and_all_it_adds() {
        story.defineButton(mean("revenue"))
                .assigned("A", ONE_DAY_LATER)
                .outcome("revenue", 5, ONE_DAY_LATER + 1)
                .assigned("a-late", "B", BEGINNING, ONE_DAY_LATER + HOUR);
        assertEquals(Map.of("button/1 B exposure everyone +0h crossed", 1L), story.units());
        assertEquals(Set.of("button/1 B revenue everyone +0h crossed"), story.metricSlots());
    }

    @Test
    void an_earlier_exposure_within_the_same_slot_sends_only_the_difference() {
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING + 10 * MINUTE)
                .outcome("revenue", 5, BEGINNING + 5 * MINUTE);
        int before = story.rows;
        story.assigned("a-early", "A", BEGINNING + MINUTE, BEGINNING + 11 * MINUTE);
        assertEquals(before + 1, story.rows);
        assertEquals(
                5 * MICROS,
                story.totals("button/1 A revenue everyone +0h clean").get(0));
    }

    @Test
    void of_two_assignments_at_the_same_time_the_lesser_event_id_is_the_first_exposure() {
        String uuid = "0b9b5c1e-98a4-4e0f-8e4a-0d4f0f6c2a11";
        story.defineButton().assigned("0c", "A", BEGINNING, BEGINNING).assigned(uuid, "B", BEGINNING, BEGINNING);
        assertEquals(Map.of("button/1 B exposure everyone +0h crossed", 1L), story.units());
        story.assigned("0b9b5c1e-98a4-4e0f-8e4a-0d4f0f6c2a1", "A", BEGINNING, BEGINNING);
        assertEquals(Map.of("button/1 A exposure everyone +0h crossed", 1L), story.units());
        story.assigned("0B9b5c1e-98a4-4e0f-8e4a-0d4f0f6c2a11", "B", BEGINNING, BEGINNING);
        assertEquals(Map.of("button/1 B exposure everyone +0h crossed", 1L), story.units());
    }

    @Test
    void a_bot_is_a_bot_even_if_it_crossed() {
        GenericData.Record bot = Events.assignment(UNIT, "robot", "button", 1, "A", ONE_HOUR_LATER);
        bot.put("is_bot", true);
        story.defineButton(mean("revenue"))
                .outcome("revenue", 1, BEGINNING)
                .assigned("A", BEGINNING)
                .assigned("B", ONE_HOUR_LATER)
                .assigned(bot, ONE_HOUR_LATER);
        assertEquals(Map.of("button/1 A exposure everyone +0h bot", 1L), story.units());
        assertEquals(Set.of("button/1 A revenue everyone +0h bot"), story.metricSlots());
    }

    @Test
    void an_assignment_that_changes_nothing_sends_no_row() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING);
        int before = story.rows;
        story.assigned("A", ONE_HOUR_LATER).outcome("clicks", 1, ONE_HOUR_LATER).outcome("revenue", 1, BEGINNING - 1);
        assertEquals(before, story.rows);
    }

    @Test
    void windows_include_their_start_and_exclude_their_end() {
        story.defineButton(
                        new Metric("retained", new Utf8("visit"), Metric.Kind.MEAN, Long.MAX_VALUE, 7 * DAY, 8 * DAY))
                .assigned("A", BEGINNING)
                .outcome("visit", 1, BEGINNING + 7 * DAY - 1)
                .outcome("visit", 10, BEGINNING + 7 * DAY)
                .outcome("visit", 100, BEGINNING + 8 * DAY - 1)
                .outcome("visit", 1000, BEGINNING + 8 * DAY);
        assertEquals(
                110 * MICROS,
                story.totals("button/1 A retained everyone +0h clean").get(0));
    }

    @Test
    void the_covariate_is_what_happened_in_the_time_before_the_exposure() {
        story.define(button(1, BEGINNING - DAY, DAY, mean("revenue")))
                .outcome("revenue", 1, BEGINNING - DAY - 1)
                .outcome("revenue", 10, BEGINNING - DAY)
                .outcome("revenue", 100, BEGINNING - 1)
                .outcome("revenue", 1000, BEGINNING)
                .assigned("A", BEGINNING);
        assertEquals(
                List.of(1000 * MICROS, MICROS, 110 * MICROS, 2 * MICROS),
                story.totals("button/1 A revenue everyone +0h clean"));
    }

    @Test
    void the_cap_cuts_the_sum_and_not_what_is_kept_of_it() {
        story.defineButton(new Metric("revenue", new Utf8("revenue"), Metric.Kind.MEAN, 10 * MICROS, 0, Long.MAX_VALUE))
                .assigned("A", BEGINNING)
                .outcome("revenue", 15, ONE_HOUR_LATER);
        String slot = "button/1 A revenue everyone +0h clean";
        assertEquals(10 * MICROS, story.totals(slot).get(0));
        story.outcome("revenue", -7, ONE_HOUR_LATER);
        assertEquals(8 * MICROS, story.totals(slot).get(0));
        story.outcome("revenue", -100, ONE_HOUR_LATER);
        assertEquals(-10 * MICROS, story.totals(slot).get(0));
    }

    @Test
    void a_proportion_is_one_whatever_the_values_and_a_ratio_sums_the_weights() {
        GenericData.Record heavy = Events.outcome(UNIT, "heavy", "visit", -4, ONE_HOUR_LATER);
        heavy.put("weight", 2.5);
        story.defineButton(
                        new Metric("converted", new Utf8("visit"), Metric.Kind.PROPORTION, 1, 0, Long.MAX_VALUE),
                        new Metric(
                                "per_visit", new Utf8("visit"), Metric.Kind.RATIO, Long.MAX_VALUE, 0, Long.MAX_VALUE))
                .assigned("A", BEGINNING)
                .outcome("visit", 3, ONE_HOUR_LATER)
                .received(EventKind.OUTCOME, Events.encode(2, heavy), ONE_HOUR_LATER);
        assertEquals(List.of(MICROS, 2 * MICROS, 0L, 0L), story.totals("button/1 A converted everyone +0h clean"));
        assertEquals(List.of(-MICROS, 3_500_000L, 0L, 0L), story.totals("button/1 A per_visit everyone +0h clean"));
    }

    @Test
    void totals_beyond_64_bits_are_cut_and_come_back_exactly() {
        story.defineButton(mean("revenue")).assigned("A", BEGINNING);
        String slot = "button/1 A revenue everyone +0h clean";
        for (int i = 0; i < 1_100; i++) {
            story.outcome("revenue", 9e9, ONE_HOUR_LATER);
        }
        assertEquals(9_000_000_000L * MICROS, story.totals(slot).get(0));
        for (int i = 0; i < 1_100; i++) {
            story.outcome("revenue", -9e9, ONE_HOUR_LATER);
        }
        story.outcome("revenue", 7, ONE_HOUR_LATER);
        assertEquals(List.of(7 * MICROS, 2_201 * MICROS, 0L, 0L), story.totals(slot));
    }

    @Test
    void an_outcome_that_waited_longer_than_the_retention_does_not_count() {
        long retention = UnitStory.RULES.retentionMs();
        story.define(button(1, BEGINNING - DAY, 30 * DAY, mean("revenue")))
                .outcome("o1", "revenue", 1, BEGINNING - retention, BEGINNING - retention - 1)
                .outcome("o2", "revenue", 10, BEGINNING - retention, BEGINNING - retention)
                .assigned("A", BEGINNING);
        assertEquals(
                10 * MICROS,
                story.totals("button/1 A revenue everyone +0h clean").get(2));
    }

    @Test
    void each_declared_dimension_has_its_slot_with_cohorts_of_a_day() {
        TreeMap<String, List<String>> segments = new TreeMap<>();
        segments.put("country", List.of("US", "DE"));
        segments.put("device", List.of("phone"));
        segments.put("plan", List.of("free"));
        story.define(new Definition(
                "acme",
                "button",
                1,
                HOUR,
                0,
                List.of("A", "B"),
                segments,
                List.of(mean("revenue")),
                Definition.NEVER,
                BEGINNING - DAY));
        GenericData.Record event = Events.assignment(UNIT, "a", "button", 1, "A", BEGINNING);
        event.put("attributes", Map.of("country", "DE", "device", "fridge", "undeclared", "x"));
        story.assigned(event, BEGINNING).outcome("revenue", 1, ONE_HOUR_LATER);
        assertEquals(
                Map.of(
                        "button/1 A exposure everyone +0h clean", 1L,
                        "button/1 A exposure country=DE +-5h clean", 1L,
                        "button/1 A exposure device=__other__ +-5h clean", 1L),
                story.units());
        assertEquals(3, story.metricSlots().size());
    }

    @Test
    void an_earlier_exposure_under_another_version_takes_the_unit_to_the_slots_of_that_version() {
        story.define(button(1, BEGINNING - DAY, 0, mean("revenue")))
                .define(button(2, BEGINNING - DAY, 0, mean("clicks")))
                .assigned("A", ONE_HOUR_LATER)
                .outcome("revenue", 1, ONE_DAY_LATER)
                .outcome("clicks", 1, ONE_DAY_LATER)
                .assigned(Events.assignment(UNIT, "first", "button", 2, "A", BEGINNING), ONE_DAY_LATER);
        assertEquals(Map.of("button/2 A exposure everyone +0h clean", 1L), story.units());
        assertEquals(Set.of("button/2 A clicks everyone +0h clean"), story.metricSlots());
    }

    @Test
    void a_repeated_event_id_is_a_duplicate_within_its_event_type_and_leaves_the_state_alone() {
        story.defineButton(mean("revenue"))
                .assigned("same", "A", BEGINNING, BEGINNING)
                .outcome("same", "revenue", 1, ONE_HOUR_LATER, ONE_HOUR_LATER);
        byte[] state = story.state;
        story.outcome("same", "revenue", 9, ONE_HOUR_LATER, ONE_HOUR_LATER).assigned("same", "B", BEGINNING, BEGINNING);
        assertSame(state, story.state);
        assertEquals(List.of("duplicate", "duplicate"), story.refused);
    }

    @Test
    void a_record_that_fails_several_checks_is_named_by_the_first() {
        long now = BEGINNING;
        GenericData.Record event = Events.outcome(UNIT, "o", "revenue", Double.NaN, now + HOUR);
        event.put("tenant_id", "other");
        story.received(EventKind.OUTCOME, Events.encode(1, event), now);
        story.received(EventKind.OUTCOME, Events.encode(2, event), now);
        event.put("tenant_id", "acme");
        story.received(EventKind.OUTCOME, Events.encode(2, event), now);
        event.put("value", -9e9);
        story.received(EventKind.OUTCOME, Events.encode(2, event), now);
        event.put("occurred_at", now - 7 * DAY - 1);
        story.received(EventKind.OUTCOME, Events.encode(2, event), now);
        assertEquals(List.of("unreadable", "mismatch", "bad_value", "from_future", "too_late"), story.refused);
        event.put("occurred_at", now - 7 * DAY);
        story.received(EventKind.OUTCOME, Events.encode(2, event), now);
        assertEquals(5, story.refused.size());
    }

    @Test
    void an_id_has_1_to_200_code_points_however_many_bytes_they_take() {
        story.outcome("ж".repeat(200), "revenue", 1, BEGINNING, BEGINNING)
                .outcome("𝄞".repeat(200), "revenue", 1, BEGINNING, BEGINNING);
        assertEquals(List.of(), story.refused);
        story.outcome("ж".repeat(201), "revenue", 1, BEGINNING, BEGINNING)
                .outcome("", "revenue", 1, BEGINNING, BEGINNING);
        assertEquals(List.of("bad_value", "bad_value"), story.refused);
    }

    @Test
    void twenty_events_in_five_experiments_with_three_metrics_take_about_600_bytes() {
        for (int i = 0; i < 5; i++) {
            story.define(new Definition(
                    "acme",
                    "experiment-" + i,
                    1,
                    HOUR,
                    14 * DAY,
                    List.of("A", "B"),
                    new TreeMap<>(),
                    List.of(mean("revenue"), mean("clicks"), mean("visits")),
                    Definition.NEVER,
                    BEGINNING - DAY));
        }
        for (int i = 0; i < 15; i++) {
            story.outcome("revenue", 12.34 * i, BEGINNING + i * HOUR);
            if (i % 3 == 0) {
                story.assigned(
                        Events.assignment(UNIT, "a" + i, "experiment-" + i / 3, 1, "A", BEGINNING + i * HOUR),
                        BEGINNING + i * HOUR);
            }
        }
        assertEquals(5, story.units().size());
        assertTrue(story.state.length <= 600, () -> story.state.length + " bytes");
    }
}

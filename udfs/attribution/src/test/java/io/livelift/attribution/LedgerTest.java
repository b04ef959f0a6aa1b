package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.MINUTE;
import static io.livelift.attribution.UnitStory.RULES;
import static io.livelift.attribution.UnitStory.button;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Every record is in exactly one column of its own minute, wherever it moves. */
class LedgerTest {
    private static final long RETENTION = RULES.retentionMs();

    /** A second experiment that counts revenue. */
    private static final Definition OTHER = new Definition(
            "acme",
            "other",
            1,
            HOUR,
            0,
            List.of("A"),
            new TreeMap<>(),
            List.of(mean("revenue")),
            Definition.NEVER,
            BEGINNING - DAY);

    private final UnitStory story = new UnitStory();

    @Test
    void every_record_received_is_in_the_row_of_its_topic_and_append_minute() {
        story.defineButton(mean("revenue"))
                .assigned("A", BEGINNING)
                .outcome("revenue", 1, BEGINNING + MINUTE - 1)
                .outcome("revenue", 1, BEGINNING + MINUTE)
                .outcome("clicks", 1, BEGINNING + MINUTE);
        assertEquals(
                Map.of(
                        "assignments +0min", "1: counted 1",
                        "outcomes +0min", "1: counted 1",
                        "outcomes +1min", "2: counted 1 waiting 1"),
                story.ledger());
    }

    @Test
    void refused_records_are_counted_by_reason() {
        story.defineButton()
                .assigned("a", "A", BEGINNING, BEGINNING)
                .assigned("a", "A", BEGINNING, BEGINNING)
                .assigned("b", "C", BEGINNING, BEGINNING)
                .assigned("c", "A", BEGINNING - 7 * DAY - 1, BEGINNING)
                .assigned("d", "A", BEGINNING + HOUR, BEGINNING)
                .received(EventKind.ASSIGNMENT, null, BEGINNING)
                .assigned("", "A", BEGINNING, BEGINNING)
                .assigned(Events.assignment("someone else", "e", "button", 1, "A", BEGINNING), BEGINNING);
        assertEquals(
                Map.of(
                        "assignments +0min",
                        "8: counted 1 duplicate 1 unreadable 1 mismatch 1 bad_value 1 from_future 1 too_late 1"
                                + " unknown_variant 1"),
                story.ledger());
    }

    @Test
    void an_outcome_that_serves_several_places_and_metrics_is_counted_once() {
        story.defineButton(mean("revenue"), new Metric("r", new Utf8("revenue"), Metric.Kind.RATIO, 1, 0, DAY))
                .define(OTHER)
                .outcome("revenue", 1, BEGINNING)
                .assigned("A", BEGINNING)
                .assigned(Events.assignment(UnitStory.UNIT, "x", "other", 1, "A", BEGINNING), BEGINNING)
                .outcome("revenue", 1, BEGINNING);
        assertEquals("2: counted 2", story.ledger().get("outcomes +0min"));
    }

    @Test
    void an_outcome_waits_until_an_exposure_counts_it_in_its_own_minute() {
        story.defineButton(mean("revenue")).outcome("revenue", 1, BEGINNING + HOUR);
        assertEquals(Map.of("outcomes +60min", "1: waiting 1"), story.ledger());
        story.assigned("a", "A", BEGINNING, BEGINNING + 2 * HOUR);
        assertEquals(
                Map.of("outcomes +60min", "1: counted 1", "assignments +120min", "1: counted 1 late 1"),
                story.ledger());
    }

    @Test
    void a_covariate_counts_only_as_far_as_the_pre_period_reaches() {
        story.define(button(1, BEGINNING - DAY, HOUR, mean("revenue")))
                .outcome("revenue", 1, BEGINNING - HOUR - 1)
                .outcome("revenue", 1, BEGINNING - HOUR)
                .assigned("A", BEGINNING);
        assertEquals("1: waiting 1", story.ledger().get("outcomes +-61min"));
        assertEquals("1: counted 1", story.ledger().get("outcomes +-60min"));
    }

    @Test
    void an_outcome_that_nothing_counted_expires_after_its_retention() {
        story.outcome("revenue", 1, BEGINNING);
        story.timePasses(BEGINNING + RETENTION).wokenAt(BEGINNING + RETENTION);
        assertEquals(Map.of("outcomes +0min", "1: waiting 1"), story.ledger());
        story.timePasses(BEGINNING + RETENTION + 1);
        assertEquals(Map.of("outcomes +0min", "1: expired_unmatched 1"), story.ledger());
        story.timePasses(BEGINNING + 60 * DAY);
        assertNull(story.state);
        assertEquals(Map.of("outcomes +0min", "1: expired_unmatched 1"), story.ledger());
    }

    @Test
    void an_expired_outcome_counts_if_an_exposure_comes_that_was_appended_in_time() {
        story.defineButton(mean("revenue"))
                .outcome("o", "revenue", 1, BEGINNING + RETENTION, BEGINNING + RETENTION)
                .wokenAt(BEGINNING + 2 * RETENTION + 1);
        assertEquals(Map.of("outcomes +40320min", "1: expired_unmatched 1"), story.ledger());
        story.assigned("A", BEGINNING + 2 * RETENTION);
        assertEquals("1: expired_unmatched 1", story.ledger().get("outcomes +40320min"));
        story.assigned("a", "A", BEGINNING + 2 * RETENTION - 7 * DAY, BEGINNING + 2 * RETENTION);
        assertEquals("1: expired_unmatched 1", story.ledger().get("outcomes +40320min"));
        story.assigned("b", "A", BEGINNING + RETENTION, BEGINNING + 7 * DAY + RETENTION);
        assertEquals("1: counted 1", story.ledger().get("outcomes +40320min"));
    }

    @Test
    void an_outcome_that_its_place_leaves_behind_waits_again_and_then_expires() {
        Metric day = new Metric("revenue", new Utf8("revenue"), Metric.Kind.MEAN, Long.MAX_VALUE, 0, DAY);
        story.defineButton(day).assigned("A", BEGINNING + 2 * DAY).outcome("revenue", 1, BEGINNING + 2 * DAY);
        assertEquals("1: counted 1", story.ledger().get("outcomes +2880min"));
        story.assigned("a", "A", BEGINNING, BEGINNING + 2 * DAY + HOUR);
        assertEquals("1: waiting 1", story.ledger().get("outcomes +2880min"));
        story.timePasses(BEGINNING + 2 * DAY + RETENTION);
        assertEquals("1: waiting 1", story.ledger().get("outcomes +2880min"));
        story.timePasses(BEGINNING + 2 * DAY + RETENTION + 1);
        assertEquals("1: expired_unmatched 1", story.ledger().get("outcomes +2880min"));
    }

    @Test
    void an_outcome_in_two_places_stays_counted_when_one_leaves_it_behind() {
        Metric day = new Metric("revenue", new Utf8("revenue"), Metric.Kind.MEAN, Long.MAX_VALUE, 0, DAY);
        story.defineButton(day)
                .define(OTHER)
                .assigned("A", BEGINNING + 2 * DAY)
                .assigned(
                        Events.assignment(UnitStory.UNIT, "x", "other", 1, "A", BEGINNING + 2 * DAY),
                        BEGINNING + 2 * DAY)
                .outcome("revenue", 1, BEGINNING + 2 * DAY)
                .assigned("a", "A", BEGINNING, BEGINNING + 2 * DAY + HOUR);
        assertEquals("1: counted 1", story.ledger().get("outcomes +2880min"));
    }

    @Test
    void what_is_counted_more_than_a_minute_after_it_happened_is_late_for_as_long_as_it_is_counted() {
        story.defineButton(mean("revenue"))
                .outcome("o1", "revenue", 1, BEGINNING, BEGINNING + MINUTE + 1)
                .outcome("o2", "revenue", 1, BEGINNING, BEGINNING + MINUTE);
        assertEquals(Map.of("outcomes +1min", "2: waiting 2"), story.ledger());
        story.assigned("A", BEGINNING);
        assertEquals("2: counted 2 late 1", story.ledger().get("outcomes +1min"));
    }

    @Test
    void a_record_of_a_mirrored_topic_stays_in_the_rows_of_that_topic() {
        story.outcome("revenue", 1, BEGINNING);
        story.topicPrefix = "eu.";
        story.outcome("revenue", 1, BEGINNING).outcome("revenue".repeat(10), 1, BEGINNING);
        story.topicPrefix = "";
        Metric far = new Metric("far", new Utf8("revenue".repeat(10)), Metric.Kind.MEAN, 1, 0, DAY);
        story.defineButton(mean("revenue"), far).assigned("A", BEGINNING);
        assertEquals(
                Map.of(
                        "assignments +0min", "1: counted 1",
                        "outcomes +0min", "1: counted 1",
                        "eu outcomes +0min", "2: counted 2"),
                story.ledger());
    }

    @Test
    void a_unit_with_more_sources_than_the_state_names_counts_them_all() {
        Metric[] metrics = new Metric[20];
        for (int i = 0; i < metrics.length; i++) {
            metrics[i] = mean("source-" + i);
            story.outcome("source-" + i, i + 1, BEGINNING);
        }
        story.outcome("nobody's", 1, BEGINNING).defineButton(metrics).assigned("A", BEGINNING);
        for (int i = 0; i < metrics.length; i++) {
            assertEquals(
                    (i + 1) * 1_000_000L,
                    story.totals("button/1 A source-" + i + " everyone +0h clean")
                            .get(0));
        }
        assertEquals("21: counted 20 waiting 1", story.ledger().get("outcomes +0min"));
    }
}

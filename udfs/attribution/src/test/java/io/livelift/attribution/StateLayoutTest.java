package io.livelift.attribution;

import static io.livelift.attribution.UnitStory.BEGINNING;
import static io.livelift.attribution.UnitStory.DAY;
import static io.livelift.attribution.UnitStory.HOUR;
import static io.livelift.attribution.UnitStory.UNIT;
import static io.livelift.attribution.UnitStory.mean;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;
import org.junit.jupiter.api.Test;

/**
 * The stored example of every released layout is read by today's code. Each is a unit's state on the first line, and
 * its pages with their numbers on the others.
 */
class StateLayoutTest {
    private static final Path GOLDEN = Path.of("../../tests/golden/attribution/unit-state-layout-2.hex");
    private static final HexFormat HEX = HexFormat.of();

    private final UnitStory story = new UnitStory();

    /** If this fails, savepoints of running jobs cannot be read: the layout needs a new number and a way over. */
    @Test
    void the_bytes_of_layout_2_have_not_changed() throws IOException {
        define();
        live();
        List<String> lines = new ArrayList<>(List.of(HEX.formatHex(story.state)));
        story.pages.pages.forEach((number, page) -> lines.add(number + " " + HEX.formatHex(page)));
        if (Boolean.getBoolean("golden.write")) {
            Files.write(GOLDEN, lines);
        }
        List<String> stored = Files.readAllLines(GOLDEN);
        assertEquals(stored.size(), lines.size(), "number of pages");
        for (int i = 0; i < stored.size(); i++) {
            assertEquals(stored.get(i), lines.get(i));
        }
    }

    @Test
    void a_unit_of_layout_2_goes_on_where_it_was() throws IOException {
        define();
        List<String> lines = Files.readAllLines(GOLDEN);
        story.state = HEX.parseHex(lines.get(0));
        for (String line : lines.subList(1, lines.size())) {
            String[] page = line.split(" ");
            story.pages.pages.put(Integer.parseInt(page[0]), HEX.parseHex(page[1]));
        }
        long now = BEGINNING + DAY;
        story.outcome("many3", "visit", 1, now, now)
                .outcome("o1", "revenue", 1, now, now)
                .assigned("w0", "A", now, now)
                .assigned("later", "A", now, now);
        assertEquals(List.of("duplicate", "duplicate", "duplicate", "duplicate"), story.refused);
        story.assigned("first", "A", BEGINNING - 1, now).timePasses(BEGINNING + 40 * DAY);
        // What the unit added before is not in this story, so where it leaves a slot less than nothing remains.
        assertEquals(
                Map.of(
                        "button/1 A exposure everyone +-1h crossed", 1L,
                        "button/1 A exposure everyone +0h crossed", -1L,
                        "button/1 A exposure country=__other__ +-5h crossed", -1L),
                story.units());
    }

    @Test
    void a_layout_that_is_not_known_is_refused_with_the_way_out() {
        for (byte layout : new byte[] {1, 3}) {
            story.state = new byte[] {layout, 0};
            IllegalStateException refusal =
                    assertThrows(IllegalStateException.class, () -> story.outcome("revenue", 1, BEGINNING));
            assertEquals(
                    "a unit's state has layout " + layout
                            + ", this engine reads 2: start without the old state (livelift rebuild --all)",
                    refusal.getMessage());
        }
    }

    private void define() {
        TreeMap<String, List<String>> segments = new TreeMap<>(Map.of("country", List.of("DE", "US")));
        Metric ratio = new Metric("r", new Utf8("visit"), Metric.Kind.RATIO, Long.MAX_VALUE, 0, Long.MAX_VALUE);
        Metric share = new Metric("p", new Utf8("visit"), Metric.Kind.PROPORTION, Long.MAX_VALUE, 0, Long.MAX_VALUE);
        story.define(new Definition(
                "acme",
                "button",
                1,
                HOUR,
                DAY,
                List.of("A", "B"),
                segments,
                List.of(mean("revenue"), ratio, share),
                Definition.NEVER,
                BEGINNING - DAY));
    }

    /** A bit of all that a state can hold: sources near, far and mirrored, forms of values, pages of each kind. */
    private void live() {
        GenericData.Record exposure =
                Events.assignment(UNIT, "0b9b5c1e-98a4-4e0f-8e4a-0d4f0f6c2a11", "button", 1, "A", BEGINNING);
        exposure.put("attributes", Map.of("country", "FR"));
        GenericData.Record visit = Events.outcome(UNIT, "v", "visit", 0.123457, BEGINNING + HOUR);
        visit.put("weight", 3.5);
        story.outcome("o1", "revenue", -12.5, BEGINNING - HOUR, BEGINNING)
                .assigned(exposure, BEGINNING + 5)
                .received(EventKind.OUTCOME, Events.encode(2, visit), BEGINNING + DAY)
                .outcome("far", "s".repeat(65), 7, BEGINNING, BEGINNING)
                .assigned("later", "B", BEGINNING + HOUR, BEGINNING + HOUR);
        story.topicPrefix = "eu.";
        story.outcome("mirrored", "revenue", 1, BEGINNING, BEGINNING);
        story.topicPrefix = "";
        for (int i = 0; i < 70; i++) {
            story.outcome("many" + i, "visit", i, BEGINNING + HOUR + i, BEGINNING + HOUR + i)
                    .assigned(Events.assignment(UNIT, "w" + i, "unknown", 2, "A", BEGINNING), BEGINNING + HOUR + i);
        }
    }
}

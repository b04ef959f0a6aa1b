package io.livelift.attribution;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;

/**
 * Events a second of processor time of the engine alone, on one thread: decoding, rules and changes, without Flink.
 *
 * <p>Arguments: events in all (1,000,000), experiments (5). Measured for units of 20, of 1,000 and of 10,000 events.
 * One event in four is an assignment; every experiment has a mean with cap and covariate, a proportion and a ratio,
 * and one segment dimension.
 */
public final class EngineBenchmark {
    private static final long BEGINNING = 1_760_000_000_000L;
    private static final long DAY = 86_400_000;
    private static final int ROUNDS = 4;

    private EngineBenchmark() {}

    public static void main(String[] arguments) {
        int events = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 1_000_000;
        int experiments = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 5;
        DefinitionCatalog definitions = new DefinitionCatalog();
        for (int i = 0; i < experiments; i++) {
            definitions.add(definition("experiment-" + i));
        }
        for (int eventsPerUnit : new int[] {20, 1_000, 10_000}) {
            int units = Math.max(1, events / eventsPerUnit);
            List<LogRecord> records = records(events, units, experiments);
            System.out.printf("%,d events a unit:%n", eventsPerUnit);
            for (int round = 1; round <= ROUNDS; round++) {
                run(records, units, definitions);
            }
        }
    }

    private static void run(List<LogRecord> records, int units, DefinitionCatalog definitions) {
        Counted counted = new Counted();
        UnitEngine engine = new UnitEngine(
                new Rules(7 * DAY, 600_000, 28 * DAY, DAY, "local"),
                definitions,
                new EventDecoder(Events::schema),
                counted);
        byte[][] states = new byte[units][];
        CountingPages[] pages = new CountingPages[units];
        Arrays.setAll(pages, unit -> new CountingPages());
        ThreadMXBean clock = ManagementFactory.getThreadMXBean();
        long start = clock.getCurrentThreadCpuTime();
        for (LogRecord record : records) {
            int unit = (int) record.offset;
            states[unit] = engine.onRecord(states[unit], pages[unit], record);
        }
        double nanos = clock.getCurrentThreadCpuTime() - start;
        double events = records.size();
        long bytes = 0;
        long paged = 0;
        for (int unit = 0; unit < units; unit++) {
            bytes += states[unit] == null ? 0 : states[unit].length;
            paged += pages[unit].pages.values().stream()
                    .mapToLong(page -> page.length)
                    .sum();
        }
        System.out.printf(
                "  %,.0f events/s, %,.0f ns and %.2f changes an event, %,d bytes of state and %,d on pages a unit,"
                        + " %d refused%n",
                events / nanos * 1e9,
                nanos / events,
                counted.changes / events,
                bytes / units,
                paged / units,
                counted.refused);
    }

    private static Definition definition(String experimentId) {
        TreeMap<String, List<String>> segments = new TreeMap<>();
        segments.put("country", List.of("DE", "US", "FR"));
        return new Definition(
                "acme",
                experimentId,
                1,
                3_600_000,
                14 * DAY,
                List.of("control", "treatment"),
                segments,
                List.of(
                        new Metric("revenue", new Utf8("purchase"), Metric.Kind.MEAN, 500_000_000, 0, 7 * DAY),
                        new Metric(
                                "converted", new Utf8("purchase"), Metric.Kind.PROPORTION, Long.MAX_VALUE, 0, 7 * DAY),
                        new Metric(
                                "per_session",
                                new Utf8("session"),
                                Metric.Kind.RATIO,
                                Long.MAX_VALUE,
                                0,
                                Long.MAX_VALUE)),
                Definition.NEVER,
                BEGINNING - DAY);
    }

    private static List<LogRecord> records(int count, int units, int experiments) {
        Random random = new Random(1);
        List<LogRecord> records = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int unit = i % units;
            String unitId = "user-" + (1_000_000 + unit);
            long at = BEGINNING + (long) (i * (2.0 * DAY / count)) + random.nextInt(60_000);
            boolean assignment = i / units % 4 == 0;
            LogRecord record = new LogRecord();
            record.kind = assignment ? EventKind.ASSIGNMENT : EventKind.OUTCOME;
            record.tenantId = "acme";
            record.topic = assignment ? "livelift.acme.assignments" : "livelift.acme.outcomes";
            record.key = unitId.getBytes(StandardCharsets.UTF_8);
            record.offset = unit;
            record.appendTimeMs = at + random.nextInt(3_000);
            if (assignment) {
                int experiment = i / units / 4 % experiments;
                String variant = (unit + experiment) % 2 == 0 ? "control" : "treatment";
                GenericData.Record event =
                        Events.assignment(unitId, "a-" + i, "experiment-" + experiment, 1, variant, at);
                event.put("attributes", Map.of("country", random.nextBoolean() ? "DE" : "US", "platform", "ios"));
                record.value = Events.encode(1, event);
            } else {
                boolean purchase = random.nextBoolean();
                double value = Math.rint(random.nextDouble() * 5_000) / 100;
                GenericData.Record event =
                        Events.outcome(unitId, "o-" + i, purchase ? "purchase" : "session", value, at);
                record.value = Events.encode(2, event);
            }
            records.add(record);
        }
        return records;
    }

    private static final class Counted implements Output {
        long changes;
        long refused;

        @Override
        public void delta(Series series, long cohortMs, long n, SumDelta sums, long appendTimeMs) {
            changes++;
        }

        @Override
        public void rejected(Reason reason, String detail, LogRecord record) {
            refused++;
        }
    }
}

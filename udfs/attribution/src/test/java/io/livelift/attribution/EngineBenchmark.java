package io.livelift.attribution;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;

/**
 * Events a second of the engine alone, on one thread: decoding, rules and delta rows, without Flink.
 *
 * <p>Arguments: events for each unit (20), experiments (5), events in all (1,000,000). One event in four is an
 * assignment; every experiment has a mean with cap and covariate, a proportion and a ratio, and one segment
 * dimension.
 */
public final class EngineBenchmark {
    private static final long BEGINNING = 1_760_000_000_000L;
    private static final long DAY = 86_400_000;

    private EngineBenchmark() {}

    public static void main(String[] arguments) {
        int eventsPerUnit = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 20;
        int experiments = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 5;
        int events = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 1_000_000;
        DefinitionCatalog definitions = new DefinitionCatalog();
        for (int i = 0; i < experiments; i++) {
            definitions.add(definition("experiment-" + i));
        }
        int units = Math.max(1, events / eventsPerUnit);
        List<LogRecord> records = records(events, units, experiments);
        for (int round = 1; round <= 5; round++) {
            Counted counted = new Counted();
            UnitEngine engine = new UnitEngine(
                    new Rules(7 * DAY, 600_000, 28 * DAY, DAY, "local"),
                    definitions,
                    new EventDecoder(Events::schema),
                    counted);
            byte[][] states = new byte[units][];
            long start = System.nanoTime();
            for (LogRecord record : records) {
                int unit = (int) record.offset;
                states[unit] = engine.onRecord(states[unit], null, record);
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            long bytes = 0;
            for (byte[] state : states) {
                bytes += state == null ? 0 : state.length;
            }
            System.out.printf(
                    "round %d: %,.0f events/s, %.2f rows and %.0f row bytes an event, %d bytes of state a unit, %d"
                            + " refused%n",
                    round,
                    events / seconds,
                    counted.rows / (double) events,
                    counted.bytes / (double) events,
                    bytes / units,
                    counted.refused);
        }
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
        long rows;
        long bytes;
        long refused;

        @Override
        public void delta(
                String kind,
                String experimentId,
                int configVersion,
                String variantId,
                String metricId,
                String segment,
                long cohortMs,
                String unitClass,
                long n,
                byte[] sums,
                long appendTimeMs) {
            rows++;
            bytes += sums.length;
        }

        @Override
        public void rejected(Reason reason, String detail, LogRecord record) {
            refused++;
        }
    }
}

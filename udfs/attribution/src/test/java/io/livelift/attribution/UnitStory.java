package io.livelift.attribution;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.avro.shaded.org.apache.avro.generic.GenericData;

/** One unit's records, told in the order in which the engine sees them, and the slots that come of them. */
final class UnitStory implements Output {
    static final long SECOND = 1_000;
    static final long MINUTE = 60 * SECOND;
    static final long HOUR = 60 * MINUTE;
    static final long DAY = 24 * HOUR;

    /** A full hour and not a full day. */
    static final long BEGINNING = 20_000 * DAY + 5 * HOUR;

    static final Rules RULES = new Rules(7 * DAY, 10 * MINUTE, 28 * DAY, DAY, "local");
    static final String UNIT = "user-1";

    private static final String[] COLUMNS =
            ("counted duplicate waiting expired_unmatched unreadable mismatch bad_value from_future too_late"
                            + " unknown_definition unknown_variant ended late")
                    .split(" ");

    final List<String> refused = new ArrayList<>();
    final List<LogRecord> refusedRecords = new ArrayList<>();
    final CountingPages pages = new CountingPages();
    byte[] state;
    int rows;
    int activityRows;

    /** A region's, for topics that were mirrored from there. */
    String topicPrefix = "";

    private final DefinitionCatalog definitions = new DefinitionCatalog();
    private final UnitEngine engine;
    private final Map<String, Long> units = new TreeMap<>();
    private final Map<String, SumDelta> sums = new TreeMap<>();
    private final Map<String, Long> received = new TreeMap<>();
    private final Map<String, SumDelta> ledger = new TreeMap<>();
    private final Map<String, Long> activity = new TreeMap<>();
    private final Map<String, SumDelta> activityValues = new TreeMap<>();
    private int events;
    private long offset;

    UnitStory() {
        this(RULES);
    }

    UnitStory(Rules rules) {
        engine = new UnitEngine(rules, definitions, new EventDecoder(Events::schema), this);
    }

    // ---- what happens

    UnitStory define(Definition definition) {
        definitions.add(definition);
        return this;
    }

    /** An experiment "button" with variants A and B, cohorts of an hour and no segments. */
    UnitStory defineButton(Metric... metrics) {
        return define(button(1, BEGINNING - DAY, 0, metrics));
    }

    static Definition button(int version, long appendTimeMs, long prePeriodMs, Metric... metrics) {
        return new Definition(
                "acme",
                "button",
                version,
                HOUR,
                prePeriodMs,
                List.of("A", "B"),
                new TreeMap<>(),
                List.of(metrics),
                Definition.NEVER,
                appendTimeMs);
    }

    /** The same as version 1 in all but that it ends the experiment. */
    static Definition ending(int version, long appendTimeMs, long endedAtMs, Metric... metrics) {
        return new Definition(
                "acme",
                "button",
                version,
                HOUR,
                0,
                List.of("A", "B"),
                new TreeMap<>(),
                List.of(metrics),
                endedAtMs,
                appendTimeMs);
    }

    static Metric mean(String id) {
        return new Metric(id, new Utf8(id), Metric.Kind.MEAN, Long.MAX_VALUE, 0, Long.MAX_VALUE);
    }

    UnitStory assigned(String variantId, long at) {
        return assigned("a" + ++events, variantId, at, at);
    }

    UnitStory assigned(String eventId, String variantId, long at, long appendTimeMs) {
        return assigned(Events.assignment(UNIT, eventId, "button", 1, variantId, at), appendTimeMs);
    }

    UnitStory assigned(GenericData.Record event, long appendTimeMs) {
        return received(EventKind.ASSIGNMENT, Events.encode(1, event), appendTimeMs);
    }

    UnitStory outcome(String metricId, double value, long at) {
        return outcome("o" + ++events, metricId, value, at, at);
    }

    UnitStory outcome(String eventId, String metricId, double value, long at, long appendTimeMs) {
        return received(
                EventKind.OUTCOME, Events.encode(2, Events.outcome(UNIT, eventId, metricId, value, at)), appendTimeMs);
    }

    UnitStory received(EventKind kind, byte[] value, long appendTimeMs) {
        LogRecord record = new LogRecord();
        record.kind = kind;
        record.tenantId = "acme";
        record.key = UNIT.getBytes(StandardCharsets.UTF_8);
        record.value = value;
        record.topic = topicPrefix + "livelift.acme." + (kind == EventKind.ASSIGNMENT ? "assignments" : "outcomes");
        record.partition = 3;
        record.offset = offset++;
        record.appendTimeMs = appendTimeMs;
        state = engine.onRecord(state, pages, record);
        return this;
    }

    UnitStory wokenAt(long nowMs) {
        state = engine.onTimer(state, pages, "acme", UNIT.getBytes(StandardCharsets.UTF_8), nowMs);
        return this;
    }

    /** Wakes the unit as often as it wants, until a moment. */
    UnitStory timePasses(long untilMs) {
        while (state != null && engine.wakeAtMs() <= untilMs) {
            wokenAt(engine.wakeAtMs());
        }
        return this;
    }

    long wakeAtMs() {
        return engine.wakeAtMs();
    }

    // ---- what comes of it

    @Override
    public void delta(Series series, long cohortMs, long n, SumDelta change, long appendTimeMs) {
        assertTrue(n != 0 || !change.isZero(), "a row that changes nothing");
        if (series.kind().equals("ledger")) {
            String topic = series.metricId().replace("livelift.acme.", "").replace('.', ' ');
            String minute = topic + " +" + (cohortMs - BEGINNING) / MINUTE + "min";
            received.merge(minute, n, Long::sum);
            ledger.computeIfAbsent(minute, absent -> new SumDelta()).add(change);
            return;
        }
        if (series.kind().equals("activity")) {
            activityRows++;
            String minute = String.join(
                    " ",
                    series.experimentId() + "/" + series.configVersion(),
                    series.variantId(),
                    series.metricId().isEmpty() ? "exposure" : series.metricId(),
                    "+" + (cohortMs - BEGINNING) / MINUTE + "min");
            activity.merge(minute, n, Long::sum);
            activity.remove(minute, 0L);
            activityValues.computeIfAbsent(minute, absent -> new SumDelta()).add(change);
            return;
        }
        rows++;
        String slot = String.join(
                " ",
                series.experimentId() + "/" + series.configVersion(),
                series.variantId(),
                series.metricId().isEmpty() ? "exposure" : series.metricId(),
                series.segment().isEmpty() ? "everyone" : series.segment(),
                "+" + (cohortMs - BEGINNING) / HOUR + "h",
                series.unitClass());
        if (series.metricId().isEmpty()) {
            units.merge(slot, n, Long::sum);
            units.remove(slot, 0L);
        } else {
            SumDelta total = sums.computeIfAbsent(slot, absent -> new SumDelta());
            total.add(change);
            if (total.isZero()) {
                sums.remove(slot);
            }
        }
    }

    @Override
    public void rejected(Reason reason, String detail, LogRecord record) {
        refused.add(reason.wireName());
        refusedRecords.add(record);
    }

    /** The exposure slots with their n. */
    Map<String, Long> units() {
        return units;
    }

    /** The metric slots that are not all zero. */
    java.util.Set<String> metricSlots() {
        return sums.keySet();
    }

    /**
     * The ledger by type and append-time minute: {@code outcomes +0min} to {@code 2: counted 1, waiting 1}, and what
     * remains when everything is taken from what was received, which must be nothing.
     */
    Map<String, String> ledger() {
        Map<String, String> told = new TreeMap<>();
        ledger.forEach((minute, sums) -> {
            BigInteger[] columns = SumDelta.decode(sums.toBytes());
            StringBuilder row = new StringBuilder().append(received.get(minute)).append(':');
            long residue = received.get(minute);
            for (int column = 0; column < COLUMNS.length; column++) {
                long count = columns[column].longValueExact();
                residue -= column < COLUMNS.length - 1 ? count : 0;
                row.append(count == 0 ? "" : " " + COLUMNS[column] + " " + count);
            }
            told.put(minute, row + (residue == 0 ? "" : " residue " + residue));
        });
        return told;
    }

    /** How many records of a topic are in a column of the ledger. */
    int inLedger(String topic, int column) {
        return ledger.entrySet().stream()
                .filter(minute -> minute.getKey().startsWith(topic + " "))
                .mapToInt(minute -> SumDelta.decode(minute.getValue().toBytes())[column].intValueExact())
                .sum();
    }

    /** The activity by place, metric and event-time minute: {@code button/1 A revenue +60min} to {@code 2 of 350}. */
    Map<String, String> activity() {
        Map<String, String> told = new TreeMap<>();
        activity.forEach((minute, n) -> {
            BigInteger[] sums = SumDelta.decode(activityValues.get(minute).toBytes());
            told.put(minute, n + (minute.contains("exposure") ? "" : " of " + sums[0]));
        });
        return told;
    }

    /** The first sums of a metric slot: y, d, x, e in micro-units. */
    List<Long> totals(String slot) {
        return Arrays.stream(all(slot)).limit(4).map(BigInteger::longValueExact).toList();
    }

    BigInteger[] all(String slot) {
        SumDelta total = sums.get(slot);
        assertTrue(total != null, () -> "no slot " + slot + " among " + sums.keySet());
        return SumDelta.decode(total.toBytes());
    }
}

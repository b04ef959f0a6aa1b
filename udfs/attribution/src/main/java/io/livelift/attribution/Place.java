package io.livelift.attribution;

import java.util.Arrays;

/**
 * A unit's place in one experiment: its first exposure, its class and its totals. Reused; slices point into the state
 * or the event it was read from.
 *
 * <p>As bytes: length of what follows; experiment; a byte with one bit for crossed, one for bot, three for the variant
 * and three for the config version (7: that number follows less 7); assigned_at, append time, event id, the value of
 * each dimension plus one; the totals. Ordinals are those of the definition.
 */
final class Place {
    private static final int CROSSED = 1;
    private static final int BOT = 2;
    private static final int FOLLOWS = 7;

    /** What {@link #enters} answers. */
    static final int NOTHING = 0;

    static final int ENTERS_Y = 1;
    static final int ENTERS_X = 2;

    Definition definition;
    int variant;
    boolean crossed;
    boolean bot;
    long assignedAtMs;
    long appendTimeMs;

    /** Outcomes appended after this do not count any more (rule 9). */
    private long closesAtMs;

    /** The first exposure's event id as {@link EventIdCode} has it. */
    final Slice eventId = new Slice();
    /** By dimension: the ordinal of its value or {@link Definition#ABSENT}. */
    int[] values = new int[4];

    final Totals totals = new Totals();

    private final Rules rules;
    private Endings endings;
    private final Slice experimentId = new Slice();
    private final ByteWriter ownEventId = new ByteWriter();
    private final ByteWriter block = new ByteWriter();
    private int blockEnd;
    private int head;

    Place(Rules rules) {
        this.rules = rules;
    }

    /** Reads where the next place ends and whose it is; its definition and the rest remain to be read. */
    Slice openExperiment(ByteReader in) {
        int length = in.count();
        blockEnd = in.at + length;
        in.bytes(experimentId, in.count());
        return experimentId;
    }

    /** After {@link #openExperiment}: reads the version and finds the definition. */
    void openDefinition(ByteReader in, DefinitionCache definitions, String tenantId) {
        head = in.u8();
        variant = small(head >> 2 & FOLLOWS, in);
        int configVersion = small(head >> 5, in);
        DefinitionCache.Known known = definitions.find(tenantId, experimentId, configVersion);
        if (known == null) {
            throw new IllegalStateException("the definition " + tenantId + "/" + experimentId + "/" + configVersion
                    + " of a counted exposure is no longer known");
        }
        definition = known.definition;
        endings = known.endings;
    }

    private static int small(int bits, ByteReader in) {
        return bits < FOLLOWS ? bits : FOLLOWS + in.count();
    }

    /** After {@link #openDefinition}: reads all the rest. */
    void readRest(ByteReader in, long baseMs) {
        crossed = (head & CROSSED) != 0;
        bot = (head & BOT) != 0;
        assignedAtMs = baseMs + in.signed();
        appendTimeMs = assignedAtMs + in.signed();
        EventIdCode.pass(in, eventId);
        reserveValues();
        for (int i = 0; i < definition.dimensionCount(); i++) {
            values[i] = in.count() - 1;
        }
        totals.readFrom(in, definition.metricCount());
        setClosing();
    }

    /** Where the opened place ends. */
    int end() {
        return blockEnd;
    }

    /** Moves behind the opened place, however much of it was read. */
    void leave(ByteReader in) {
        in.at = blockEnd;
    }

    /** Makes an accepted assignment the first exposure; class and totals remain to be set. */
    void expose(DefinitionCache.Known known, int newVariant, Event event, long newAppendTimeMs) {
        definition = known.definition;
        endings = known.endings;
        experimentId.set(event.experimentId.buffer, event.experimentId.from, event.experimentId.to);
        variant = newVariant;
        assignedAtMs = event.timeMs;
        appendTimeMs = newAppendTimeMs;
        ownEventId.clear();
        EventIdCode.write(event.eventId, ownEventId);
        eventId.set(ownEventId.buffer, 0, ownEventId.length);
        reserveValues();
        Arrays.fill(values, 0, definition.dimensionCount(), Definition.ABSENT);
        for (int i = 0; i < event.attributeCount; i++) {
            int dimension = definition.dimensionOrdinal(event.attributeName(i));
            if (dimension >= 0) {
                values[dimension] = definition.valueOrdinal(dimension, event.attributeValue(i));
            }
        }
        setClosing();
    }

    /** One horizon after the experiment has ended and the longest window that ends has done so. */
    private void setClosing() {
        long endedAtMs = endings.effectiveMs();
        closesAtMs = endedAtMs == Definition.NEVER
                ? Long.MAX_VALUE
                : Math.min(
                                Math.max(endedAtMs, assignedAtMs + definition.longestWindowMs()),
                                Long.MAX_VALUE - rules.horizonMs())
                        + rules.horizonMs();
    }

    /** When the place closes; {@link Long#MAX_VALUE} while the experiment goes on. */
    long closesAtMs() {
        return closesAtMs;
    }

    /** Makes this the same as another place. */
    void copyFrom(Place other) {
        definition = other.definition;
        endings = other.endings;
        closesAtMs = other.closesAtMs;
        experimentId.set(other.experimentId.buffer, other.experimentId.from, other.experimentId.to);
        variant = other.variant;
        crossed = other.crossed;
        bot = other.bot;
        assignedAtMs = other.assignedAtMs;
        appendTimeMs = other.appendTimeMs;
        eventId.set(other.eventId.buffer, other.eventId.from, other.eventId.to);
        reserveValues();
        System.arraycopy(other.values, 0, values, 0, definition.dimensionCount());
        totals.copyFrom(other.totals);
    }

    private void reserveValues() {
        if (values.length < definition.dimensionCount()) {
            values = new int[definition.dimensionCount()];
        }
    }

    /** Whether an assignment comes before this first exposure. */
    boolean isAfter(Event event) {
        if (event.timeMs != assignedAtMs) {
            return event.timeMs < assignedAtMs;
        }
        Slice id = event.eventId;
        byte[] own = EventIdCode.decode(eventId);
        return Arrays.compareUnsigned(id.buffer, id.from, id.to, own, 0, own.length) < 0;
    }

    String variantId() {
        return definition.variant(variant);
    }

    /** As {@link UnitClass} has it. */
    int unitClass() {
        return UnitClass.of(crossed, bot);
    }

    /**
     * Which totals of a metric an outcome of its source enters (contract, rules 3, 4, 7 and 9): {@link #ENTERS_Y},
     * {@link #ENTERS_X}, both added, or {@link #NOTHING}.
     */
    int enters(int metric, StoredOutcome outcome) {
        if (appendTimeMs - outcome.appendTimeMs > rules.retentionMs() || outcome.appendTimeMs > closesAtMs) {
            return NOTHING;
        }
        Metric rule = definition.metric(metric);
        long since = outcome.occurredAtMs - assignedAtMs;
        return (since >= rule.windowStartMs() && since < rule.windowEndMs() ? ENTERS_Y : 0)
                + (since < 0 && since >= -definition.prePeriodMs() ? ENTERS_X : 0);
    }

    /** Adds an outcome to the totals it enters. */
    void add(int metric, int entered, StoredOutcome outcome) {
        Metric.Kind kind = definition.metric(metric).kind();
        if ((entered & ENTERS_Y) != 0) {
            totals.add(metric, kind, false, outcome.valueMicros, outcome.weightMicros);
        }
        if ((entered & ENTERS_X) != 0) {
            totals.add(metric, kind, true, outcome.valueMicros, outcome.weightMicros);
        }
    }

    void writeTo(ByteWriter out, long baseMs) {
        block.clear();
        block.unsigned(experimentId.length());
        block.bytes(experimentId);
        int configVersion = definition.configVersion();
        block.u8((crossed ? CROSSED : 0)
                | (bot ? BOT : 0)
                | Math.min(variant, FOLLOWS) << 2
                | Math.min(configVersion, FOLLOWS) << 5);
        if (variant >= FOLLOWS) {
            block.unsigned(variant - FOLLOWS);
        }
        if (configVersion >= FOLLOWS) {
            block.unsigned(configVersion - FOLLOWS);
        }
        block.signed(assignedAtMs - baseMs);
        block.signed(appendTimeMs - assignedAtMs);
        block.bytes(eventId);
        for (int i = 0; i < definition.dimensionCount(); i++) {
            block.unsigned(values[i] + 1);
        }
        totals.writeTo(block);
        out.unsigned(block.length);
        out.bytes(block);
    }
}

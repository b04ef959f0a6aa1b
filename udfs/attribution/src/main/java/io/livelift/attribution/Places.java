package io.livelift.attribution;

/**
 * A unit's places in experiments: rules 1 to 5, 7 and 9 of the contract, applied to accepted records.
 *
 * <p>A place whose first exposure moves is counted anew from the outcomes that are stored, and nothing is missing then:
 * an outcome is dropped only when no assignment of the unit waits and every record still to come is appended more than
 * retention + horizon + future after the outcome. An exposure still to come cannot count it by rule 7. Nor can it move
 * a place that counts it: that place's exposure was appended at most the retention after the outcome, so it happened
 * at most retention + future after it; an exposure still to come happened at most one horizon before it is appended,
 * so more than retention + future after the outcome, and is not the earlier one.
 */
final class Places {
    private final UnitState unit;
    private final DefinitionCache definitions;
    private final SlotRows rows;
    private final ActivityRows activity;
    private final Ledger ledger;
    private final HomeTopics topics;

    private final ByteReader reader = new ByteReader();
    private final Place place;
    private final Place moved;
    private final Contribution before = new Contribution();
    private final Contribution after = new Contribution();
    private final Recount recount = new Recount();

    Places(
            UnitState unit,
            DefinitionCache definitions,
            Rules rules,
            SlotRows rows,
            ActivityRows activity,
            Ledger ledger,
            HomeTopics topics) {
        this.unit = unit;
        this.definitions = definitions;
        this.rows = rows;
        this.activity = activity;
        this.ledger = ledger;
        this.topics = topics;
        this.place = new Place(rules);
        this.moved = new Place(rules);
        this.recount.retentionMs = rules.retentionMs();
    }

    /** Adds a new outcome to every place it counts for, and says in its {@code places} how many those are. */
    void count(String tenantId, Slice source, StoredOutcome outcome) {
        Section section = unit.places;
        int copiedTo = section.from;
        outcome.places = 0;
        for (reader.start(section.buffer, section.from); reader.at < section.to; ) {
            int start = reader.at;
            place.openExperiment(reader);
            place.openDefinition(reader, definitions, tenantId);
            if (isFed(place.definition, source)) {
                place.readRest(reader, unit.baseMs());
                if (count(source, outcome)) {
                    section.added.bytes(section.buffer, copiedTo, start);
                    place.writeTo(section.added, unit.baseMs());
                    copiedTo = place.end();
                    outcome.places++;
                }
            }
            place.leave(reader);
        }
        if (copiedTo != section.from) {
            replaceUpTo(copiedTo);
        }
    }

    private static boolean isFed(Definition definition, Slice source) {
        for (int metric = 0; metric < definition.metricCount(); metric++) {
            if (definition.metric(metric).source().matches(source)) {
                return true;
            }
        }
        return false;
    }

    private boolean count(Slice source, StoredOutcome outcome) {
        boolean counted = false;
        for (int metric = 0; metric < place.definition.metricCount(); metric++) {
            Metric rule = place.definition.metric(metric);
            if (!rule.source().matches(source)) {
                continue;
            }
            int entered = place.enters(metric, outcome);
            if (entered == Place.NOTHING) {
                continue;
            }
            counted = true;
            place.totals.contribution(metric, rule, before);
            place.add(metric, entered, outcome);
            place.totals.contribution(metric, rule, after);
            rows.totalsChanged(place, metric, before, after, outcome.appendTimeMs);
            if ((entered & Place.ENTERS_Y) != 0) {
                activity.outcome(place, metric, outcome, 1, outcome.appendTimeMs);
            }
        }
        return counted;
    }

    /** Applies an accepted assignment: a first exposure, an earlier one, a change of class, or nothing at all. */
    void assign(DefinitionCache.Known known, int variant, Event event, long appendTimeMs) {
        Section section = unit.places;
        String tenantId = known.definition.tenantId();
        for (reader.start(section.buffer, section.from); reader.at < section.to; ) {
            int start = reader.at;
            if (place.openExperiment(reader).equalTo(event.experimentId)) {
                place.openDefinition(reader, definitions, tenantId);
                place.readRest(reader, unit.baseMs());
                if (change(known, variant, event, appendTimeMs)) {
                    section.added.bytes(section.buffer, section.from, start);
                    moved.writeTo(section.added, unit.baseMs());
                    replaceUpTo(place.end());
                    rows.moved(place, moved, appendTimeMs);
                }
                return;
            }
            place.leave(reader);
        }
        moved.expose(known, variant, event, appendTimeMs);
        moved.crossed = false;
        moved.bot = event.isBot;
        recount.run(null, moved, appendTimeMs);
        moved.writeTo(section.added, unit.baseMs());
        unit.markChanged();
        rows.entered(moved, appendTimeMs);
    }

    /** Makes {@code moved} what the place becomes; false if the assignment changes nothing. */
    private boolean change(DefinitionCache.Known known, int variant, Event event, long appendTimeMs) {
        boolean earlier = place.isAfter(event);
        boolean crossed = place.crossed || !known.definition.variant(variant).equals(place.variantId());
        boolean bot = place.bot || event.isBot;
        if (!earlier && crossed == place.crossed && bot == place.bot) {
            return false;
        }
        if (earlier) {
            moved.expose(known, variant, event, appendTimeMs);
            recount.run(place, moved, appendTimeMs);
        } else {
            moved.copyFrom(place);
        }
        moved.crossed = crossed;
        moved.bot = bot;
        return true;
    }

    /** Forgets the places that have closed before a moment: nothing that is still to come can change them. */
    void dropClosedBefore(String tenantId, long momentMs) {
        Section section = unit.places;
        boolean dropped = false;
        for (reader.start(section.buffer, section.from); reader.at < section.to; ) {
            int start = reader.at;
            place.openExperiment(reader);
            place.openDefinition(reader, definitions, tenantId);
            place.readRest(reader, unit.baseMs());
            if (place.closesAtMs() < momentMs) {
                dropped = true;
            } else {
                section.added.bytes(section.buffer, start, place.end());
            }
        }
        if (dropped) {
            section.dropOld();
            unit.markChanged();
        } else {
            section.added.clear();
        }
    }

    /** The topic an outcome of the unit came from. */
    String topicOf(String tenantId, StoredOutcome outcome) {
        Slice topic = unit.sources.topic(outcome);
        return topic.length() == 0 ? topics.name(EventKind.OUTCOME, tenantId) : topic.toString();
    }

    /** What was added takes the place of the section's bytes up to a position; the bytes behind it stay. */
    private void replaceUpTo(int position) {
        Section section = unit.places;
        section.added.bytes(section.buffer, position, section.to);
        section.dropOld();
        unit.markChanged();
    }

    /**
     * Sets the totals of a place anew from all outcomes the unit has, and says what that changes: activity, and the
     * ledger where an outcome comes to count nowhere or begins to.
     */
    private final class Recount implements EventMemory.Visitor<StoredOutcome> {
        private final MetricsBySource fedFrom = new MetricsBySource();
        private final MetricsBySource fedTo = new MetricsBySource();
        private long retentionMs;
        private Place from;
        private Place to;
        private boolean sameActivity;
        private long asOfMs;

        /** @param newFrom where the unit was; null if it comes into the experiment */
        void run(Place newFrom, Place newTo, long newAsOfMs) {
            from = newFrom;
            to = newTo;
            asOfMs = newAsOfMs;
            sameActivity = ActivityRows.isSame(from, to);
            to.totals.clear(to.definition.metricCount());
            activity.exposed(from, to, asOfMs);
            if (!unit.outcomes.isEmpty()) {
                fedTo.prepare(to.definition);
                if (from != null) {
                    fedFrom.prepare(from.definition);
                }
                unit.outcomes.visit(this);
            }
        }

        @Override
        public EventMemory.Verdict visit(StoredOutcome outcome) {
            boolean counted = false;
            boolean counts = false;
            if (from != null) {
                for (int metric = 0; metric < from.definition.metricCount(); metric++) {
                    if (fedFrom.isFed(metric, outcome)) {
                        int left = from.enters(metric, outcome);
                        counted |= left != Place.NOTHING;
                        boolean stays = sameActivity && (to.enters(metric, outcome) & Place.ENTERS_Y) != 0;
                        if ((left & Place.ENTERS_Y) != 0 && !stays) {
                            activity.outcome(from, metric, outcome, -1, asOfMs);
                        }
                    }
                }
            }
            for (int metric = 0; metric < to.definition.metricCount(); metric++) {
                if (fedTo.isFed(metric, outcome)) {
                    int entered = to.enters(metric, outcome);
                    counts |= entered != Place.NOTHING;
                    to.add(metric, entered, outcome);
                    boolean stayed = sameActivity && (from.enters(metric, outcome) & Place.ENTERS_Y) != 0;
                    if ((entered & Place.ENTERS_Y) != 0 && !stayed) {
                        activity.outcome(to, metric, outcome, 1, asOfMs);
                    }
                }
            }
            if (counted == counts) {
                return EventMemory.Verdict.KEEP;
            }
            int column = outcome.column();
            outcome.places += counts ? 1 : -1;
            outcome.expired = false;
            if (outcome.column() != column) {
                String tenantId = to.definition.tenantId();
                String topic = topicOf(tenantId, outcome);
                ledger.moved(tenantId, topic, outcome.appendTimeMs, outcome.occurredAtMs, column, outcome.column(), asOfMs);
            }
            if (outcome.places == 0) {
                unit.lookBy(outcome.appendTimeMs + retentionMs + 1);
            }
            return EventMemory.Verdict.CHANGED;
        }
    }

    /** Which of a definition's metrics an outcome feeds, found out once for each near source. */
    private final class MetricsBySource {
        private Definition definition;
        private int[] near = new int[8];

        void prepare(Definition itsDefinition) {
            definition = itsDefinition;
            int metrics = definition.metricCount();
            if (near.length < metrics) {
                near = new int[metrics];
            }
            for (int metric = 0; metric < metrics; metric++) {
                near[metric] = unit.sources.matching(definition.metric(metric).source());
            }
        }

        boolean isFed(int metric, StoredOutcome outcome) {
            return outcome.source == StoredOutcome.FAR
                    ? definition.metric(metric).source().matches(outcome.metricId)
                    : (near[metric] >> outcome.source & 1) != 0;
        }
    }
}

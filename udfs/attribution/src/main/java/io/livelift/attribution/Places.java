package io.livelift.attribution;

/** A unit's places in experiments: rules 1 to 5 and 7 of the contract, applied to accepted records. */
final class Places {
    private final UnitState unit;
    private final DefinitionCache definitions;
    private final Rules rules;
    private final SlotRows rows;

    private final ByteReader reader = new ByteReader();
    private final Place place = new Place();
    private final Place moved = new Place();
    private final StoredOutcome stored = new StoredOutcome();
    private final Contribution before = new Contribution();
    private final Contribution after = new Contribution();
    private int[] sources = new int[8];

    Places(UnitState unit, DefinitionCache definitions, Rules rules, SlotRows rows) {
        this.unit = unit;
        this.definitions = definitions;
        this.rules = rules;
        this.rows = rows;
    }

    /** Adds a new outcome to every place it counts for. */
    void count(String tenantId, Slice source, StoredOutcome outcome) {
        Section section = unit.places;
        int copiedTo = section.from;
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
            place.totals.contribution(metric, rule, before);
            if (place.add(metric, outcome, rules.retentionMs())) {
                place.totals.contribution(metric, rule, after);
                rows.totalsChanged(place, metric, before, after, outcome.appendTimeMs);
                counted = true;
            }
        }
        return counted;
    }

    /** Applies an accepted assignment: a first exposure, an earlier one, a change of class, or nothing at all. */
    void assign(Definition definition, int variant, Event event, long appendTimeMs) {
        Section section = unit.places;
        for (reader.start(section.buffer, section.from); reader.at < section.to; ) {
            int start = reader.at;
            if (place.openExperiment(reader).equalTo(event.experimentId)) {
                place.openDefinition(reader, definitions, definition.tenantId());
                place.readRest(reader, unit.baseMs());
                if (change(definition, variant, event, appendTimeMs)) {
                    section.added.bytes(section.buffer, section.from, start);
                    moved.writeTo(section.added, unit.baseMs());
                    replaceUpTo(place.end());
                    rows.moved(place, moved, appendTimeMs);
                }
                return;
            }
            place.leave(reader);
        }
        moved.expose(definition, variant, event, appendTimeMs);
        moved.crossed = false;
        moved.bot = event.isBot;
        recount(moved);
        moved.writeTo(section.added, unit.baseMs());
        unit.markChanged();
        rows.entered(moved, appendTimeMs);
    }

    /** Makes {@code moved} what the place becomes; false if the assignment changes nothing. */
    private boolean change(Definition definition, int variant, Event event, long appendTimeMs) {
        boolean earlier = place.isAfter(event);
        boolean crossed = place.crossed || !definition.variant(variant).equals(place.variantId());
        boolean bot = place.bot || event.isBot;
        if (!earlier && crossed == place.crossed && bot == place.bot) {
            return false;
        }
        if (earlier) {
            moved.expose(definition, variant, event, appendTimeMs);
            recount(moved);
        } else {
            moved.copyFrom(place);
        }
        moved.crossed = crossed;
        moved.bot = bot;
        return true;
    }

    /** Sets the totals of a place anew from all outcomes the unit has. */
    private void recount(Place counted) {
        Definition definition = counted.definition;
        int metrics = definition.metricCount();
        counted.totals.clear(metrics);
        if (sources.length < metrics) {
            sources = new int[metrics];
        }
        for (int metric = 0; metric < metrics; metric++) {
            sources[metric] = unit.sourceOrdinal(definition.metric(metric).source());
        }
        Section section = unit.outcomes;
        ByteReader outcomes = new ByteReader();
        for (outcomes.start(section.buffer, section.from); outcomes.at < section.to; ) {
            stored.readFrom(outcomes, unit.baseMs());
            for (int metric = 0; metric < metrics; metric++) {
                if (sources[metric] == stored.source) {
                    counted.add(metric, stored, rules.retentionMs());
                }
            }
        }
    }

    /** What was added takes the place of the section's bytes up to a position; the bytes behind it stay. */
    private void replaceUpTo(int position) {
        Section section = unit.places;
        section.added.bytes(section.buffer, position, section.to);
        section.dropOld();
        unit.markChanged();
    }
}

package io.livelift.attribution;

/**
 * The names that a unit's outcomes share: the first few different pairs of metric_id and topic, so that an outcome
 * names its own by an ordinal. An outcome of any other names it itself, so however many there are, this stays small.
 *
 * <p>As bytes, for each: the length of the metric_id, doubled, plus one if a topic follows; the metric_id; for a topic
 * that is not the tenant's own its length and its bytes.
 */
final class Sources {
    /** Longer ones are far. */
    private static final int LONGEST_NEAR = 64;

    final Section section = new Section();
    private final ByteReader reader = new ByteReader();
    private final Slice metricId = new Slice();
    private final Slice topic = new Slice();

    /** Names the outcome's source: a near one, made one if there is room, else a far one. True if bytes were added. */
    boolean name(StoredOutcome outcome, Slice itsMetricId, Slice itsTopic) {
        int ordinal = 0;
        for (start(); hasNext(); ordinal++) {
            next();
            if (metricId.equalTo(itsMetricId) && topic.equalTo(itsTopic)) {
                outcome.source = ordinal;
                return false;
            }
        }
        if (ordinal == StoredOutcome.FAR || itsMetricId.length() > LONGEST_NEAR) {
            outcome.source = StoredOutcome.FAR;
            outcome.metricId.set(itsMetricId.buffer, itsMetricId.from, itsMetricId.to);
            outcome.topic.set(itsTopic.buffer, itsTopic.from, itsTopic.to);
            return false;
        }
        outcome.source = ordinal;
        boolean foreign = itsTopic.length() > 0;
        section.added.unsigned(2L * itsMetricId.length() + (foreign ? 1 : 0));
        section.added.bytes(itsMetricId);
        if (foreign) {
            section.added.unsigned(itsTopic.length());
            section.added.bytes(itsTopic);
        }
        return true;
    }

    /** One bit for each near source whose metric_id this is. */
    int matching(Utf8 wanted) {
        int matching = 0;
        int bit = 1;
        for (start(); hasNext(); bit <<= 1) {
            next();
            matching |= wanted.matches(metricId) ? bit : 0;
        }
        return matching;
    }

    /** The topic of an outcome, empty for the tenant's own. */
    Slice topic(StoredOutcome outcome) {
        if (outcome.source == StoredOutcome.FAR) {
            return outcome.topic;
        }
        start();
        for (int ordinal = 0; ordinal <= outcome.source; ordinal++) {
            next();
        }
        return topic;
    }

    /** Forgets them all, when the unit has no outcomes. */
    void clear() {
        section.dropOld();
    }

    private void start() {
        reader.start(section.buffer, section.from);
    }

    private boolean hasNext() {
        return reader.at < section.to;
    }

    private void next() {
        int head = reader.count();
        reader.bytes(metricId, head >> 1);
        if ((head & 1) != 0) {
            reader.bytes(topic, reader.count());
        } else {
            topic.set(reader.buffer, reader.at, reader.at);
        }
    }
}

package io.livelift.attribution;

import java.util.Arrays;

/**
 * A decoded event; its strings are slices of the record's value. Reused from record to record: the decoder sets every
 * field of the kind it decodes.
 */
final class Event {
    final Slice tenantId = new Slice();
    final Slice unitId = new Slice();
    final Slice eventId = new Slice();
    /** assigned_at or occurred_at. */
    long timeMs;

    // of an assignment
    final Slice experimentId = new Slice();
    int configVersion;
    final Slice variantId = new Slice();
    boolean isBot;
    /** Where attributes lie in the value: for each, start and end of its name and of its value. */
    int[] attributes = new int[32];

    int attributeCount;

    // of an outcome
    final Slice metricId = new Slice();
    double value;
    double weight;

    private final Slice attribute = new Slice();

    void addAttribute(int nameFrom, int nameTo, int valueFrom, int valueTo) {
        int at = 4 * attributeCount++;
        if (at == attributes.length) {
            attributes = Arrays.copyOf(attributes, 2 * at);
        }
        attributes[at] = nameFrom;
        attributes[at + 1] = nameTo;
        attributes[at + 2] = valueFrom;
        attributes[at + 3] = valueTo;
    }

    /** The name of an attribute; valid until the next call of this or {@link #attributeValue}. */
    Slice attributeName(int index) {
        attribute.set(eventId.buffer, attributes[4 * index], attributes[4 * index + 1]);
        return attribute;
    }

    /** The value of an attribute; valid until the next call of this or {@link #attributeName}. */
    Slice attributeValue(int index) {
        attribute.set(eventId.buffer, attributes[4 * index + 2], attributes[4 * index + 3]);
        return attribute;
    }
}

package io.livelift.attribution;

/** The checks that need nothing but the record (contract 4.2 and rule 6), in their order. */
final class RecordChecks {
    private static final int LONGEST_ID = 200;
    private static final double LARGEST_VALUE = 9e9;

    private final Rules rules;

    private Utf8 lastTenant = new Utf8("");

    /** What the last check that failed found. */
    private String detail = "";

    RecordChecks(Rules rules) {
        this.rules = rules;
    }

    String detail() {
        return detail;
    }

    /** The reason to refuse a decoded record, or null if there is none. */
    Reason check(LogRecord record, Event event) {
        if (!tenant(record.tenantId).matches(event.tenantId)) {
            return refuse(Reason.MISMATCH, "the payload's tenant_id is not the topic's");
        }
        if (!event.unitId.matches(record.key)) {
            return refuse(Reason.MISMATCH, "the payload's unit_id is not the key");
        }
        String bad = bad(record.kind, event);
        if (bad != null) {
            return refuse(Reason.BAD_VALUE, bad);
        }
        long ahead = saturatingMinus(event.timeMs, record.appendTimeMs);
        if (ahead > rules.futureMs()) {
            return refuse(Reason.FROM_FUTURE, "the event is later than the append time allows");
        }
        if (ahead < -rules.horizonMs()) {
            return refuse(Reason.TOO_LATE, "the event is older than the horizon");
        }
        return null;
    }

    private Utf8 tenant(String tenantId) {
        if (!lastTenant.toString().equals(tenantId)) {
            lastTenant = new Utf8(tenantId);
        }
        return lastTenant;
    }

    private Reason refuse(Reason reason, String newDetail) {
        detail = newDetail;
        return reason;
    }

    /** What is wrong with the event's fields, or null. */
    private static String bad(EventKind kind, Event event) {
        if (isBadId(event.unitId)) {
            return "unit_id is not 1 to 200 code points";
        }
        if (isBadId(event.eventId)) {
            return "event_id is not 1 to 200 code points";
        }
        return kind == EventKind.ASSIGNMENT ? badAssignment(event) : badOutcome(event);
    }

    private static String badAssignment(Event event) {
        if (isBadId(event.experimentId)) {
            return "experiment_id is not 1 to 200 code points";
        }
        if (event.configVersion < 1) {
            return "config_version is below 1";
        }
        return isBadId(event.variantId) ? "variant_id is not 1 to 200 code points" : null;
    }

    private static String badOutcome(Event event) {
        if (isBadId(event.metricId)) {
            return "metric_id is not 1 to 200 code points";
        }
        if (!(Math.abs(event.value) <= LARGEST_VALUE)) { // so written, NaN is refused too
            return "value is not a number of at most 9e9";
        }
        return event.weight >= 0 && event.weight <= LARGEST_VALUE ? null : "weight is not in [0, 9e9]";
    }

    private static boolean isBadId(Slice id) {
        int bytes = id.length();
        return bytes == 0 || bytes > LONGEST_ID && Utf8.codePoints(id) > LONGEST_ID;
    }

    private static long saturatingMinus(long a, long b) {
        long difference = a - b;
        boolean wrapped = ((a ^ b) & (a ^ difference)) < 0;
        return !wrapped ? difference : a < 0 ? Long.MIN_VALUE : Long.MAX_VALUE;
    }
}

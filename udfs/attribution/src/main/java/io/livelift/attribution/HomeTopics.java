package io.livelift.attribution;

import java.util.HashMap;
import java.util.Map;

/**
 * The names of tenants' own topics, which follow from the tenant and so need no room in the state. Other names, those
 * of topics mirrored from other regions, are kept as they are.
 */
final class HomeTopics {
    private static final String PREFIX = "livelift.";
    private static final String[] ENDS = {".assignments", ".outcomes"};

    private final Map<String, String[]> names = new HashMap<>();

    /** Whether a record comes from its tenant's own topic of its type. */
    static boolean isHome(LogRecord record) {
        String topic = record.topic;
        String tenantId = record.tenantId;
        String end = ENDS[record.kind.ordinal()];
        return topic.length() == PREFIX.length() + tenantId.length() + end.length()
                && topic.startsWith(PREFIX)
                && topic.startsWith(tenantId, PREFIX.length())
                && topic.endsWith(end);
    }

    /** The tenant's own topic; always the same instance. */
    String name(EventKind kind, String tenantId) {
        String[] ofTenant = names.get(tenantId);
        if (ofTenant == null) {
            ofTenant = new String[] {PREFIX + tenantId + ENDS[0], PREFIX + tenantId + ENDS[1]};
            names.put(tenantId, ofTenant);
        }
        return ofTenant[kind.ordinal()];
    }
}

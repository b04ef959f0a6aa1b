package io.livelift.attribution.flink;

import io.livelift.attribution.EventKind;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a topic's name says about its records: whose they are and of which type.
 *
 * <p>A region's prefix ({@code eu.livelift.acme.outcomes}) changes neither.
 *
 * @param tenantId empty if the topic is no tenant's
 * @param kind null if the topic is no tenant's
 */
record TenantTopic(String name, String tenantId, EventKind kind) {
    private static final Pattern NAME =
            Pattern.compile("(?:[a-z0-9-]+\\.)?livelift\\.([a-z0-9-]{1,40})\\.(assignment|outcome)s");

    static TenantTopic of(String name) {
        Matcher matcher = NAME.matcher(name);
        if (!matcher.matches()) {
            return new TenantTopic(name, "", null);
        }
        return new TenantTopic(name, matcher.group(1), EventKind.valueOf(matcher.group(2).toUpperCase(Locale.ROOT)));
    }
}

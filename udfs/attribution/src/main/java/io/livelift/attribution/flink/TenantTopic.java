package io.livelift.attribution.flink;

import io.livelift.attribution.EventKind;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a topic's name says about its records: whose they are and of which type. The tenant of a record is that of its
 * topic, because only the broker's access lists vouch for it.
 *
 * <p>A region's prefix ({@code eu.livelift.acme.outcomes}) changes neither.
 *
 * @param bytes the name's
 * @param tenantId empty if the topic is no tenant's
 * @param kind null if the topic is no tenant's
 */
record TenantTopic(String name, byte[] bytes, int hash, String tenantId, EventKind kind) {
    private static final Pattern NAME =
            Pattern.compile("(?:[a-z0-9-]+\\.)?livelift\\.([a-z0-9-]{1,40})\\.(assignment|outcome)s");

    static TenantTopic of(byte[] name) {
        return of(new String(name, StandardCharsets.UTF_8));
    }

    static TenantTopic of(String name) {
        Matcher matcher = NAME.matcher(name);
        boolean isTenants = matcher.matches();
        return new TenantTopic(
                name,
                name.getBytes(StandardCharsets.UTF_8),
                name.hashCode(),
                isTenants ? matcher.group(1) : "",
                isTenants ? EventKind.valueOf(matcher.group(2).toUpperCase(Locale.ROOT)) : null);
    }
}

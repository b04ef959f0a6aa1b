package io.livelift.attribution.flink;

import io.livelift.attribution.SchemaSource;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The writer schemas of a registry with the Confluent HTTP interface.
 *
 * <p>A registry that does not answer is asked again for half a minute, then the task fails and Flink starts it again:
 * nothing is refused because the registry was away. An id the registry does not know is remembered as unknown for a
 * while, so that a flood of damaged records is not a flood of requests.
 */
final class RegistrySchemas implements SchemaSource {
    private static final Logger LOG = LoggerFactory.getLogger(RegistrySchemas.class);
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int TIMEOUT_MS = 5_000;

    /** Bad request, not found, unprocessable: what registries say to a number that is no id. */
    private static final Set<Integer> UNKNOWN_ID = Set.of(400, 404, 422);

    private static final long UNKNOWN_NANOS = Duration.ofSeconds(30).toNanos();
    private static final int MOST_UNKNOWN = 10_000;

    private final String url;
    private final Duration patience;

    /** When an id was found to be unknown, oldest first. */
    private final Map<Integer, Long> unknown = new LinkedHashMap<>();

    RegistrySchemas(String url) {
        this(url, Duration.ofSeconds(30));
    }

    RegistrySchemas(String url, Duration patience) {
        this.url = url.endsWith("/") ? url.substring(0, url.length() - 1) : url;
        this.patience = patience;
    }

    @Override
    public String find(int schemaId) {
        Long unknownSince = unknown.get(schemaId);
        if (unknownSince != null && System.nanoTime() - unknownSince < UNKNOWN_NANOS) {
            return null;
        }
        String schema = ask(schemaId);
        unknown.remove(schemaId);
        if (schema == null) {
            if (unknown.size() >= MOST_UNKNOWN) {
                unknown.remove(unknown.keySet().iterator().next());
            }
            unknown.put(schemaId, System.nanoTime());
        }
        return schema;
    }

    private String ask(int schemaId) {
        URI uri = URI.create(url + "/schemas/ids/" + schemaId);
        long deadline = System.nanoTime() + patience.toNanos();
        long pauseMs = 100;
        while (true) {
            try {
                return get(uri);
            } catch (IOException e) {
                if (System.nanoTime() > deadline) {
                    throw new IllegalStateException("the schema registry does not answer: " + uri, e);
                }
                LOG.warn("the schema registry does not answer, trying again: {}", uri, e);
                pause(pauseMs);
                pauseMs = Math.min(2 * pauseMs, 2_000);
            }
        }
    }

    private static String get(URI uri) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
        connection.setConnectTimeout(TIMEOUT_MS);
        connection.setReadTimeout(TIMEOUT_MS);
        int status = connection.getResponseCode();
        if (UNKNOWN_ID.contains(status)) {
            return null;
        }
        if (status != HttpURLConnection.HTTP_OK) {
            throw new IOException("HTTP status " + status);
        }
        try (InputStream body = connection.getInputStream()) {
            JsonNode schema = JSON.readTree(body).get("schema");
            if (schema == null) {
                throw new IOException("an answer without a schema");
            }
            return schema.asText();
        }
    }

    private static void pause(long pauseMs) {
        try {
            Thread.sleep(pauseMs);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("stopped while waiting for the schema registry", e);
        }
    }
}

package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class RegistrySchemasTest {
    private static final Duration A_MOMENT = Duration.ofMillis(1);

    private final List<String> asked = new ArrayList<>();
    private final Deque<Integer> statuses = new ArrayDeque<>();
    private HttpServer server;

    @BeforeEach
    void startRegistry() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.createContext("/", exchange -> {
            asked.add(exchange.getRequestURI().getPath());
            byte[] body = "{\"schema\": \"\\\"string\\\"\"}".getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(statuses.remove(), body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }

    @AfterEach
    void stopRegistry() {
        server.stop(0);
    }

    @Test
    void aKnownIdGivesItsSchema() {
        statuses.add(200);
        assertEquals("\"string\"", schemas(A_MOMENT).find(7));
        assertEquals(List.of("/apis/ccompat/v7/schemas/ids/7"), asked);
    }

    @Test
    void anUnknownIdIsAskedForOnceInAWhile() {
        statuses.add(404);
        RegistrySchemas schemas = schemas(A_MOMENT);
        assertNull(schemas.find(-1));
        assertNull(schemas.find(-1));
        assertEquals(1, asked.size());
    }

    @Test
    void aRegistryThatFailsIsAskedAgain() {
        statuses.addAll(List.of(500, 503, 200));
        assertEquals("\"string\"", schemas(Duration.ofSeconds(30)).find(7));
        assertEquals(3, asked.size());
    }

    @Test
    void aRegistryThatStaysAwayFailsTheTaskAndRefusesNothing() {
        RegistrySchemas schemas = schemas(A_MOMENT);
        server.stop(0);
        RuntimeException failure = assertThrows(RuntimeException.class, () -> schemas.find(7));
        assertTrue(failure.getMessage().startsWith("the schema registry does not answer: http://"));
    }

    private RegistrySchemas schemas(Duration patience) {
        return new RegistrySchemas("http://127.0.0.1:" + server.getAddress().getPort() + "/apis/ccompat/v7/", patience);
    }
}

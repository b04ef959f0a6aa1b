package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.livelift.attribution.EventKind;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TenantTopicTest {
    @Test
    void aTopicNamesItsTenantAndTheTypeOfItsRecords() {
        TenantTopic outcomes = TenantTopic.of("livelift.acme-2.outcomes");
        assertEquals("acme-2", outcomes.tenantId());
        assertEquals(EventKind.OUTCOME, outcomes.kind());
        assertEquals(EventKind.ASSIGNMENT, TenantTopic.of("livelift.acme-2.assignments").kind());
    }

    @Test
    void theRegionAMirroredTopicComesFromIsNotItsTenant() {
        assertEquals("acme", TenantTopic.of("eu-west-1.livelift.acme.outcomes").tenantId());
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "livelift-internal.heartbeat",
                "livelift.acme.outcomes.copy",
                "livelift..outcomes",
                "livelift.Acme.outcomes",
                "livelift.acme.exposures",
                "livelift.a234567890123456789012345678901234567890x.outcomes",
                ""
            })
    void aTopicThatIsNoTenantsHasNoTenant(String name) {
        assertEquals("", TenantTopic.of(name).tenantId());
        assertNull(TenantTopic.of(name).kind());
    }
}

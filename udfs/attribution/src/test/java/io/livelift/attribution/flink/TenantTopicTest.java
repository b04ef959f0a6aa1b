package io.livelift.attribution.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.livelift.attribution.EventKind;
import org.apache.flink.table.data.StringData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TenantTopicTest {
    @Test
    void aTopicNamesItsTenantAndTheTypeOfItsRecords() {
        assertEquals(
                new TenantTopic("livelift.acme-2.outcomes", "acme-2", EventKind.OUTCOME),
                TenantTopic.of("livelift.acme-2.outcomes"));
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

    @Test
    void theSqlFunctionAnswersTheSameTheSecondTime() {
        TenantOf tenantOf = new TenantOf();
        tenantOf.open(null);
        for (int i = 0; i < 2; i++) {
            assertEquals("acme", tenantOf.eval(StringData.fromString("livelift.acme.outcomes")).toString());
            assertEquals("", tenantOf.eval(StringData.fromString("livelift-internal.heartbeat")).toString());
        }
    }
}

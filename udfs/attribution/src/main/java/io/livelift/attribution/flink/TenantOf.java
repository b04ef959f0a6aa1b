package io.livelift.attribution.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * {@code tenant_of(topic)}: the tenant that owns a topic, or {@code ''} when none does.
 *
 * <p>The tenant of a record is the tenant of its topic, because only the broker's access lists vouch for it.
 */
public final class TenantOf extends ScalarFunction {
    /** One entry for each topic this task has read. */
    private transient Map<StringData, StringData> tenants;

    @Override
    public void open(FunctionContext context) {
        tenants = new HashMap<>();
    }

    public @DataTypeHint(value = "STRING NOT NULL", bridgedTo = StringData.class) StringData eval(
            @DataTypeHint(value = "STRING NOT NULL", bridgedTo = StringData.class) StringData topic) {
        StringData tenant = tenants.get(topic);
        if (tenant == null) {
            // The name is copied, because the row behind the argument is used again for the next record.
            String name = topic.toString();
            tenant = StringData.fromString(TenantTopic.of(name).tenantId());
            tenants.put(StringData.fromString(name), tenant);
        }
        return tenant;
    }
}

package io.livelift.attribution;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Definitions in memory. The first of a key stands. One thread may add while others read. */
public final class DefinitionCatalog implements DefinitionBook {
    private final Map<String, Definition> definitions = new ConcurrentHashMap<>();
    private final Map<String, Endings> endings = new ConcurrentHashMap<>();

    private volatile int size;

    /** Adds a definition, unless there is one of its key already: a later copy has a later append time. */
    public void add(Definition definition) {
        String tenantId = definition.tenantId();
        String experimentId = definition.experimentId();
        String key = key(tenantId, experimentId, definition.configVersion());
        if (!definitions.containsKey(key)) {
            // The ending first: whoever finds the definition must find what it ended.
            endings(tenantId, experimentId).add(definition);
            definitions.put(key, definition);
            size = definitions.size();
        }
    }

    @Override
    public Definition find(String tenantId, String experimentId, int configVersion) {
        return definitions.get(key(tenantId, experimentId, configVersion));
    }

    @Override
    public Endings endings(String tenantId, String experimentId) {
        return endings.computeIfAbsent(tenantId + "/" + experimentId, absent -> new Endings());
    }

    @Override
    public int size() {
        return size;
    }

    /** Does nothing: what is not here is not anywhere. */
    @Override
    public void catchUp(long appendTimeMs) {}

    /** Unambiguous because a tenant's id holds no slash and a version is digits only. */
    private static String key(String tenantId, String experimentId, int configVersion) {
        return tenantId + "/" + configVersion + "/" + experimentId;
    }
}

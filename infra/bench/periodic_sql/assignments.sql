-- Where does a batch tool find who was given what? (Sorted by unit, as its questions are.)
CREATE TABLE bench_assignments (
    tenant_id LowCardinality(String),
    unit_id String,
    event_id String,
    experiment_id LowCardinality(String),
    variant_id LowCardinality(String),
    assigned_at Int64,
    is_bot Bool
) ENGINE = MergeTree ORDER BY (tenant_id, unit_id)

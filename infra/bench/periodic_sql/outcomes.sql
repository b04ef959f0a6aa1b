-- Where does a batch tool find what units did?
CREATE TABLE bench_outcomes (
    tenant_id LowCardinality(String),
    unit_id String,
    event_id String,
    source LowCardinality(String),
    amount Float64,
    weight Float64,
    occurred_at Int64
) ENGINE = MergeTree ORDER BY (tenant_id, unit_id)

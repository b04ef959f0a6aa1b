-- What `result_rows` said, as long as somebody may ask: of each row the newest of every minute for two days, of every hour
-- for good, and each row behind a decision. `kept_at` is the minute, the hour or the moment; a row written twice is the same row.
CREATE TABLE result_history_rows
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, epoch, experiment_id, config_version, view, policy, segment, metric_id, treatment_variant, kept, kept_at)
TTL toDateTime(computed_at) + INTERVAL 48 HOUR DELETE WHERE kept = 'minute'
EMPTY AS
SELECT *, CAST('' AS LowCardinality(String)) AS kept, toDateTime64(0, 3, 'UTC') AS kept_at
FROM result_rows;

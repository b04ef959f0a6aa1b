-- Every version of every minute of activity, as absolute values; the newest `version` of a key wins.
CREATE TABLE activity_rows
(
    tenant_id String,
    epoch UInt16 COMMENT 'Of the rebuild this row belongs to; readers see the active one (epochs)',
    experiment_id String,
    minute DateTime('UTC') COMMENT 'When it happened by the event''s own clock, floored',
    config_version Int32,
    variant_id String,
    metric_id String COMMENT 'Empty for first exposures',
    region LowCardinality(String) COMMENT 'The region that processed the users',
    n Int64 COMMENT 'First exposures, or outcomes',
    value_micros Int256 COMMENT 'Sum of the values of the outcomes, without caps',
    as_of DateTime64(3, 'UTC') COMMENT 'Greatest append time counted',
    updates Int64 COMMENT 'Delta rows counted; grows with every update of the minute',
    source_partition Int32 COMMENT 'Of the counts topic',
    source_offset Int64 COMMENT 'Everything of the partition up to here is written once this row is',
    version UInt64 COMMENT 'Rebuild epoch in the high bits, then emission time'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, epoch, experiment_id, minute, config_version, variant_id, metric_id, region);

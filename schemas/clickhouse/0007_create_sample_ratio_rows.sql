-- Users by first exposure against the declared weights; the newest `version` of a key wins.
CREATE TABLE sample_ratio_rows
(
    tenant_id String,
    epoch UInt16 COMMENT 'Of the rebuild this row belongs to; readers see the active one (epochs)',
    experiment_id String,
    segment String COMMENT 'Empty for everyone, else dimension=value',
    bots LowCardinality(String) COMMENT 'excluded or included',
    variants Array(String) COMMENT 'Names of the three arrays, in the same order',
    counts Array(Int64) COMMENT 'Users seen',
    expected Array(Float64) COMMENT 'Users expected by weight, summed over config versions',
    chi2_p_value Nullable(Float64),
    seq_p_value Nullable(Float64) COMMENT 'Sequential multinomial test, now',
    seq_p_min Nullable(Float64) COMMENT 'Its running minimum',
    status LowCardinality(String) COMMENT 'ok or undetermined',
    reason LowCardinality(String) DEFAULT '',
    as_of DateTime64(3, 'UTC') COMMENT 'Append time up to which events are counted',
    computed_at DateTime64(3, 'UTC'),
    slot_updates Int64 COMMENT 'Sum of updates over the slots this was computed from',
    version UInt64 COMMENT 'Rebuild epoch in the high bits, then emission time'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, epoch, experiment_id, segment, bots);

-- Every version of every slot the scorecard job has written, as absolute values: writing a row twice is harmless.
-- The newest `version` of a key wins. Not partitioned: a partition key would have to be part of the slot key.
CREATE TABLE slot_rows
(
    tenant_id String,
    epoch UInt16 COMMENT 'Of the rebuild this row belongs to; readers see the active one (epochs)',
    experiment_id String,
    kind LowCardinality(String) DEFAULT 'slot' COMMENT 'Kind of delta row; the slots view shows kind slot',
    config_version Int32,
    variant_id String,
    metric_id String COMMENT 'Empty for the exposure slot, which carries n',
    segment String COMMENT 'Empty for everyone, else dimension=value',
    cohort DateTime('UTC') COMMENT 'First exposure, floored to the cohort width',
    unit_class LowCardinality(String) COMMENT 'clean, crossed or bot',
    region LowCardinality(String) COMMENT 'The region that processed the users',
    n Int64 COMMENT 'Exposed users; 0 in metric slots',
    sum_y Int256 COMMENT 'Outcome, in micro-units; products below in 10^-12',
    sum_d Int256 COMMENT 'Denominator of the outcome',
    sum_x Int256 COMMENT 'Outcome before exposure (covariate)',
    sum_e Int256 COMMENT 'Denominator before exposure',
    sum_yy Int256,
    sum_yd Int256,
    sum_yx Int256,
    sum_ye Int256,
    sum_dd Int256,
    sum_dx Int256,
    sum_de Int256,
    sum_xx Int256,
    sum_xe Int256,
    sum_ee Int256,
    as_of DateTime64(3, 'UTC') COMMENT 'Greatest append time counted',
    updates Int64 COMMENT 'Delta rows counted; grows with every update of the slot',
    source_partition Int32 COMMENT 'Where in the slots topic this row was read',
    source_offset Int64,
    version UInt64 COMMENT 'Rebuild epoch in the high bits, then emission time'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, epoch, experiment_id, kind, config_version, variant_id, metric_id, segment, cohort, unit_class, region);

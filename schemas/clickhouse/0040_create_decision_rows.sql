-- Every decision the scorecard job has made. The first record of a decision stands: it is what people were told, so `version`
-- falls with time.
CREATE TABLE decision_rows
(
    decision_id String COMMENT 'The same for the same crossing, however often the job comes upon it',
    tenant_id String,
    epoch UInt16 COMMENT 'Of the rebuild this row belongs to; readers see the active one (epochs)',
    experiment_id String,
    config_version Int32 COMMENT '0: all versions together',
    kind LowCardinality(String) COMMENT 'stop, invalid or ship',
    metric_id String COMMENT 'Empty when invalid, as is the treatment',
    treatment_variant String,
    control_variant String,
    decided_at DateTime64(3, 'UTC'),
    as_of DateTime64(3, 'UTC') COMMENT 'Append time up to which events are counted in the sums',
    crossed_at Nullable(DateTime64(3, 'UTC')) COMMENT 'as_of of the first of the two looks that showed the crossing',
    n_control Int64,
    n_treatment Int64,
    abs_diff Nullable(Float64) COMMENT 'Treatment minus control; biased away from zero',
    distance Nullable(Float64) COMMENT 'How far the treatment is on the right side of the margin, in the unit of the metric',
    bound Nullable(Float64) COMMENT 'Its one-sided sequential bound, below 0 at a stop',
    margin Nullable(Float64) COMMENT 'As a share of the control mean',
    margin_abs Nullable(Float64),
    level Float64 COMMENT 'The error rate it was tested at',
    log_e Nullable(Float64) COMMENT 'ln of the e-value of the last look',
    message String COMMENT 'For people',
    inputs String COMMENT 'JSON: the rule, config versions and exact sums; livelift decision replay computes it again',
    version UInt64 COMMENT 'Rebuild epoch in the high bits, then the time left until the bits are used up'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, epoch, experiment_id, decision_id);

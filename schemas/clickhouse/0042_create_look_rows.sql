-- Where the sequential tests of an experiment stand: what a scorecard job that lost its state begins from.
CREATE TABLE look_rows
(
    tenant_id String,
    epoch UInt16 COMMENT 'Of the rebuild this row belongs to',
    experiment_id String,
    since DateTime64(3, 'UTC') COMMENT 'Looks before it are not in the running minima',
    as_of DateTime64(3, 'UTC') COMMENT 'Append time up to which events are counted',
    looks String COMMENT 'JSON that begins with its layout (jobs/scorecard/looks.py)',
    version UInt64 COMMENT 'Rebuild epoch in the high bits, then emission time'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, epoch, experiment_id);

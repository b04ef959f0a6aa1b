-- Every version of every minute of the ledger, as absolute values; the newest `version` of a key wins.
CREATE TABLE ledger_rows
(
    tenant_id String,
    epoch UInt16 COMMENT 'Of the rebuild this row belongs to; readers see the active one (epochs)',
    topic String,
    minute DateTime('UTC') COMMENT 'Append time of the records, floored',
    received Int64 COMMENT 'Records of the topic, whatever became of them; every column below counts some of them',
    counted Int64 COMMENT 'Assignments of known variants, and outcomes in at least one metric of an experiment',
    duplicate Int64 COMMENT 'Their event_id had been received before',
    waiting Int64 COMMENT 'For their definition, or for an exposure',
    expired_unmatched Int64 COMMENT 'Outcomes no exposure came for while they were kept',
    unreadable Int64 COMMENT 'This and what follows: rejected, by reason',
    mismatch Int64,
    bad_value Int64,
    from_future Int64,
    too_late Int64,
    unknown_definition Int64,
    unknown_variant Int64,
    ended Int64,
    late Int64 COMMENT 'Of the counted ones, those appended more than a minute after they happened',
    as_of DateTime64(3, 'UTC') COMMENT 'Greatest append time counted',
    updates Int64 COMMENT 'Delta rows counted; grows with every update of the minute',
    source_partition Int32 COMMENT 'Of the counts topic',
    source_offset Int64 COMMENT 'Everything of the partition up to here is written once this row is',
    version UInt64 COMMENT 'Rebuild epoch in the high bits, then emission time'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (tenant_id, epoch, topic, minute);

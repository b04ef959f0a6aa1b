-- What does each record of the counts topic say of its minute, and where was it in the log? (All in one lane: they are few.)
SELECT 'counts' AS lane,
       'counts' AS table_name,
       JSON_ARRAY(
         kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class, region,
         n, sums, as_of, updates, version, source_partition, source_offset NULL ON NULL) AS line,
       PROCTIME() AS arrived_at
FROM counts
WHERE kind IN ('ledger', 'activity')

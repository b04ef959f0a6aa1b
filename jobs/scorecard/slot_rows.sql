-- What does each record of the slots topic say, and where was it in the log? (A lane for each partition: they are many.)
SELECT source_partition AS lane,
       'slot_rows' AS table_name,
       JSON_ARRAY(
         kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class, region,
         n, sums, as_of, updates, version, source_partition, source_offset NULL ON NULL) AS line,
       arrived_at
FROM slot_records

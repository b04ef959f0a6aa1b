-- What does each record of the slots topic say, and where was it in the log? (A lane for each partition: they are many. A line is a row
-- for ClickHouse, its values as `SLOT_COLUMNS` in tables.py names them; times in seconds.)
SELECT source_partition AS lane,
       'slot_rows' AS table_name,
       '[' || sum_numbers(sums)
         || ',' || CAST(as_of / 1000 AS STRING) || '.' || LPAD(CAST(MOD(as_of, 1000) AS STRING), 3, '0')
         || ',' || SUBSTRING(JSON_ARRAY(
           cohort / 1000, kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, unit_class,
           region, n, updates, version, source_partition, source_offset NULL ON NULL) FROM 2) AS line,
       arrived_at
FROM slot_records

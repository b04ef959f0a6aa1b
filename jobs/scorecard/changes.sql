-- Which slots and totals of an experiment changed during this window? (One record per experiment; absolute rows, by position.)
SELECT tenant_id || '/' || experiment_id AS experiment,
       '[' || ARRAY_JOIN(ARRAY_AGG(JSON_ARRAY(
         kind, epoch, config_version, variant_id, metric_id, segment, cohort, unit_class, region,
         n, sums, as_of, updates, version NULL ON NULL)), ',') || ']' AS changes
FROM TABLE(TUMBLE(
  DATA => TABLE slot_records, TIMECOL => DESCRIPTOR(arrived_at), SIZE => INTERVAL '{window}' SECOND(3, 3)))
WHERE kind IN ('slot', 'total')
GROUP BY tenant_id, experiment_id, window_start, window_end

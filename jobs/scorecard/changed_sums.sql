-- Which sums of an experiment changed during this window? (One record per experiment, each change an absolute row.)
SELECT tenant_id || '/' || experiment_id AS experiment,
       '[' || ARRAY_JOIN(ARRAY_AGG(JSON_OBJECT(
         'epoch' VALUE epoch, 'config_version' VALUE config_version, 'variant_id' VALUE variant_id,
         'metric_id' VALUE metric_id, 'segment' VALUE segment, 'unit_class' VALUE unit_class, 'region' VALUE region,
         'n' VALUE n, 'sums' VALUE sums, 'updates' VALUE updates, 'as_of' VALUE as_of,
         'first_cohort' VALUE first_cohort)), ',') || ']' AS changes
FROM TABLE(TUMBLE(
  DATA => TABLE sum_changes, TIMECOL => DESCRIPTOR(arrived_at), SIZE => INTERVAL '{window}' SECOND(3, 3)))
GROUP BY tenant_id, experiment_id, window_start, window_end

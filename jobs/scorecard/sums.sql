-- What are the exact sums of every group of users, over all days of exposure? (Absolute; one row per group.)
SELECT tenant_id, experiment_id, config_version, variant_id, metric_id, segment, unit_class, region,
       SUM(n) AS n,
       EXACT_SUM(sums) AS sums,
       SUM(updates) AS updates,
       MAX(as_of) AS as_of,
       MIN(cohort) FILTER (WHERE n > 0) AS first_cohort
FROM (
  -- The same choice as ClickHouse makes: after a rebuild the old job's rows lose, however late they arrive.
  SELECT *,
         ROW_NUMBER() OVER (
           PARTITION BY tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class, region
           ORDER BY version DESC) AS newness
  FROM slot_changes
  WHERE kind = 'slot')
WHERE newness = 1
GROUP BY tenant_id, experiment_id, config_version, variant_id, metric_id, segment, unit_class, region

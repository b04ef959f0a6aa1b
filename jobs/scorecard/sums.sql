-- What are the exact sums of every group of users, over all days of exposure? (Absolute; one row per group and rebuild epoch.)
SELECT epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, unit_class, region,
       SUM(n) AS n,
       EXACT_SUM(sums) AS sums,
       SUM(updates) AS updates,
       MAX(as_of) AS as_of,
       MIN(cohort) FILTER (WHERE n > 0) AS first_cohort
FROM (
  -- The same choice as ClickHouse makes: the row that was emitted last, however late the others arrive.
  SELECT *,
         ROW_NUMBER() OVER (
           PARTITION BY epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class, region
           ORDER BY version DESC) AS newness
  FROM slot_changes
  WHERE kind = 'slot')
WHERE newness = 1
GROUP BY epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, unit_class, region

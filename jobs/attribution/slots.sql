-- What does each slot hold now? (Absolute, so a row that is written twice says the same twice.)
INSERT INTO slots
SELECT kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class,
       region,
       SUM(n) AS n,
       exact_sum(sums) AS sums,
       MAX(counted_at) AS as_of,
       COUNT(*) AS updates,
       emission_version() AS version
FROM deltas
WHERE kind NOT IN ('rejected', 'ledger', 'activity')
GROUP BY kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class,
         region

-- What was received and what became of it, and what happened, minute by minute? (Minutes pile up, so their sums go
-- when nothing can change them any more; the rows stay where they were written.)
INSERT INTO counts
SELECT /*+ STATE_TTL('deltas' = '{counts_ttl_ms} ms') */
       kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class,
       region,
       SUM(n) AS n,
       exact_sum(sums) AS sums,
       MAX(counted_at) AS as_of,
       COUNT(*) AS updates,
       emission_version() AS version
FROM deltas
WHERE kind IN ('ledger', 'activity')
GROUP BY kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class,
         region

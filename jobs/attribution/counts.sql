-- What was received and what became of it, and what happened, minute by minute?
INSERT INTO counts
SELECT kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class,
       region, n, sums, as_of, updates, emission_version() AS version
FROM counted
WHERE kind IN ('ledger', 'activity')
ON CONFLICT DO DEDUPLICATE -- the later row of a key wins

-- What does each slot, and each total, hold now? (Absolute, so a row that is written twice says the same twice.)
INSERT INTO slots
SELECT kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class,
       region, n, sums, as_of, updates, emission_version() AS version
FROM counted
WHERE kind NOT IN ('rejected', 'ledger', 'activity')
ON CONFLICT DO DEDUPLICATE -- the later row of a key wins

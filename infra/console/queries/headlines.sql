-- What is known of all experiments of a tenant, about everyone?
SELECT *
FROM results
WHERE tenant_id = {tenant:String}
    AND view = 'all' AND policy = 'first_seen' AND segment = '' AND config_version = 0
ORDER BY experiment_id, metric_id, treatment_variant
LIMIT 5000

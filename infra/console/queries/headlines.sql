-- What is known of a tenant's experiments, in the order of their names from one on, about everyone?
WITH page AS (
    SELECT DISTINCT experiment_id
    FROM results
    WHERE tenant_id = {tenant:String} AND view = 'all' AND experiment_id > {after:String}
    ORDER BY experiment_id
    LIMIT {most:UInt32}
)
SELECT *
FROM results
WHERE tenant_id = {tenant:String} AND experiment_id IN page
    AND view = 'all' AND policy = 'first_seen' AND segment = '' AND config_version = 0
ORDER BY experiment_id, metric_id, treatment_variant
LIMIT 100000

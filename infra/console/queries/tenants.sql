-- Which tenants have results, and of how many experiments? The only question without a tenant.
SELECT tenant_id, uniqExact(experiment_id) AS experiments
FROM results
WHERE view = 'all' AND policy = 'first_seen' AND segment = ''
GROUP BY tenant_id
ORDER BY tenant_id
LIMIT 1000

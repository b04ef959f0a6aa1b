-- When was each user first exposed to each experiment, and to which variant?
SELECT tenant_id, unit_id, experiment_id, variant_id, assigned_at
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY tenant_id, unit_id, experiment_id ORDER BY assigned_at) AS place
  FROM assignments)
WHERE place = 1

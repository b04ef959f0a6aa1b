-- How many users has each variant?
INSERT INTO exposed
SELECT tenant_id, experiment_id, variant_id, COUNT(*) AS n
FROM exposures
GROUP BY tenant_id, experiment_id, variant_id

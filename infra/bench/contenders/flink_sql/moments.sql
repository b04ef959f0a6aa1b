-- What are the sums that means, variances and ratios are made of?
INSERT INTO moments
SELECT tenant_id, experiment_id, variant_id, source,
       SUM(y) AS y, SUM(d) AS d, SUM(y * y) AS yy, SUM(y * d) AS yd, SUM(d * d) AS dd
FROM totals
GROUP BY tenant_id, experiment_id, variant_id, source

-- What did each exposed user do after the exposure, by metric? (A capped mean, a proportion and a ratio.)
SELECT tenant_id, experiment_id, variant_id, source, unit_id,
       CASE source WHEN 'source-00' THEN LEAST(amount, {cap}) WHEN 'source-01' THEN 1.0E0 ELSE amount END AS y,
       CASE source WHEN 'source-02' THEN weights ELSE outcomes END AS d
FROM (
  SELECT e.tenant_id, e.experiment_id, e.variant_id, o.metric_id AS source, e.unit_id,
         SUM(o.`value`) AS amount,
         SUM(o.weight) AS weights,
         CAST(COUNT(*) AS DOUBLE) AS outcomes
  FROM exposures AS e
  JOIN outcomes AS o ON o.tenant_id = e.tenant_id AND o.unit_id = e.unit_id
  WHERE o.occurred_at >= e.assigned_at
    AND (o.metric_id <> 'source-00' OR o.occurred_at < e.assigned_at + {window_ms})
  GROUP BY e.tenant_id, e.experiment_id, e.variant_id, o.metric_id, e.unit_id)

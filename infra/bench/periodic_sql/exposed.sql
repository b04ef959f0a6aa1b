-- How many users has each variant, by class?
SELECT tenant_id, experiment_id, variant_id, unit_class, count() AS n
FROM (
    SELECT tenant_id, unit_id, experiment_id,
           argMin(a.variant_id, (a.assigned_at, a.event_id)) AS variant_id,
           multiIf(max(a.is_bot), 'bot', uniqExact(a.variant_id) > 1, 'crossed', 'clean') AS unit_class
    FROM bench_assignments AS a
    GROUP BY tenant_id, unit_id, experiment_id)
GROUP BY ALL
ORDER BY ALL

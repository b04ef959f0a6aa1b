-- What are the sums of every variant and metric? (From all raw events, each counted once, with the covariate.)
WITH
    exposures AS (
        SELECT tenant_id, unit_id, experiment_id,
               argMin(a.variant_id, (a.assigned_at, a.event_id)) AS variant_id,
               min(a.assigned_at) AS exposed_at,
               multiIf(max(a.is_bot), 'bot', uniqExact(a.variant_id) > 1, 'crossed', 'clean') AS unit_class
        FROM bench_assignments AS a
        GROUP BY tenant_id, unit_id, experiment_id
    ),
    outcomes AS (
        SELECT tenant_id, unit_id,
               any(o.source) AS source, any(o.amount) AS amount, any(o.weight) AS weight, any(o.occurred_at) AS occurred_at
        FROM bench_outcomes AS o
        GROUP BY tenant_id, unit_id, o.event_id
    ),
    totals AS (
        SELECT e.tenant_id AS tenant_id, e.experiment_id AS experiment_id, e.variant_id AS variant_id,
               e.unit_class AS unit_class, o.source AS source,
               o.occurred_at >= e.exposed_at
                   AND (o.source <> 'source-00' OR o.occurred_at < e.exposed_at + {window_ms:Int64}) AS is_after,
               o.occurred_at < e.exposed_at AND o.occurred_at >= e.exposed_at - {pre_period_ms:Int64} AS is_before,
               multiIf(o.source = 'source-02', o.weight, 1) AS part,
               sumIf(o.amount, is_after) AS amount_after, sumIf(part, is_after) AS d,
               sumIf(o.amount, is_before) AS amount_before, sumIf(part, is_before) AS e_
        FROM exposures AS e
        JOIN outcomes AS o ON o.tenant_id = e.tenant_id AND o.unit_id = e.unit_id
        GROUP BY ALL
    )
SELECT 1

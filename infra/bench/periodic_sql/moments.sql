-- What are the sums of every variant and metric? (From all raw events, each counted once, covariates included.)
WITH
    exposures AS (
        SELECT tenant_id, unit_id, experiment_id,
               argMin(a.variant_id, (a.assigned_at, a.event_id)) AS variant_id,
               min(a.assigned_at) AS exposed_at,
               multiIf(max(a.is_bot), 'bot', uniqExact(a.variant_id) > 1, 'crossed', 'clean') AS unit_class
        FROM bench_assignments AS a
        GROUP BY tenant_id, unit_id, experiment_id
    ),
    happened AS (
        SELECT tenant_id, unit_id, any(o.source) AS source, any(o.amount) AS amount, any(o.weight) AS weight,
               any(o.occurred_at) AS occurred_at
        FROM bench_outcomes AS o
        GROUP BY tenant_id, unit_id, o.event_id
    ),
    joined AS (
        SELECT e.tenant_id AS tenant_id, e.experiment_id AS experiment_id, e.variant_id AS variant_id,
               e.unit_class AS unit_class, e.unit_id AS unit_id, h.source AS source, h.amount AS amount,
               if(h.source = 'source-02', h.weight, 1) AS part,
               h.occurred_at - e.exposed_at AS since_exposure
        FROM happened AS h
        JOIN exposures AS e ON h.tenant_id = e.tenant_id AND h.unit_id = e.unit_id
    ),
    totals AS (
        SELECT tenant_id, experiment_id, variant_id, unit_class, source, unit_id,
               since_exposure >= 0 AND (source <> 'source-00' OR since_exposure < {window_ms:Int64}) AS is_after,
               since_exposure < 0 AND since_exposure >= -{pre_period_ms:Int64} AS is_before,
               amount, part
        FROM joined
    ),
    units AS (
        SELECT tenant_id, experiment_id, variant_id, unit_class, source,
               sumIf(amount, is_after) AS after, sumIf(part, is_after) AS d,
               sumIf(amount, is_before) AS before, sumIf(part, is_before) AS e,
               multiIf(source = 'source-00', least(after, {cap:Float64}), source = 'source-01', d > 0, after) AS y,
               multiIf(source = 'source-00', least(before, {cap:Float64}), source = 'source-01', e > 0, before) AS x
        FROM totals
        GROUP BY tenant_id, experiment_id, variant_id, unit_class, source, unit_id
    )
SELECT tenant_id, experiment_id, variant_id, unit_class, source,
       sum(y), sum(d), sum(x), sum(e),
       sum(y * y), sum(y * d), sum(y * x), sum(y * e), sum(d * d), sum(d * x), sum(d * e),
       sum(x * x), sum(x * e), sum(e * e)
FROM units
GROUP BY tenant_id, experiment_id, variant_id, unit_class, source
ORDER BY ALL

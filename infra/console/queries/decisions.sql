-- What was decided about a tenant's experiments up to a moment, and from what?
WITH if({moment_ms:Int64} = 0, now64(3, 'UTC'), fromUnixTimestamp64Milli({moment_ms:Int64}, 'UTC')) AS moment
SELECT decision_id, experiment_id, config_version, kind, metric_id, treatment_variant, control_variant,
    decided_at, as_of, crossed_at, n_control, n_treatment, abs_diff, distance, bound, margin, margin_abs,
    level, message, inputs
FROM decisions
WHERE tenant_id = {tenant:String} AND ({experiment:String} = '' OR experiment_id = {experiment:String})
    AND decided_at <= moment
ORDER BY decided_at DESC, decision_id
LIMIT 100 BY experiment_id
LIMIT 5000

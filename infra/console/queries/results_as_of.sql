-- What was known of an experiment at a moment?
WITH if({moment_ms:Int64} = 0, now64(3, 'UTC'), fromUnixTimestamp64Milli({moment_ms:Int64}, 'UTC')) AS moment
SELECT *
FROM
(
    SELECT *
    FROM results_history
    WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String}
        AND view = {view:String} AND policy = {policy:String} AND config_version = {config_version:Int32}
        AND computed_at <= moment
    ORDER BY computed_at DESC, version DESC
    LIMIT 1 BY segment, metric_id, treatment_variant
)
ORDER BY segment, metric_id, treatment_variant
LIMIT 5000

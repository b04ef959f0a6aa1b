-- How did a metric's intervals come to be what they are? At most about 240 moments up to one, evenly apart.
WITH
    if({moment_ms:Int64} = 0, now64(3, 'UTC'), fromUnixTimestamp64Milli({moment_ms:Int64}, 'UTC')) AS moment,
    known AS
    (
        SELECT *
        FROM results_history
        WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String}
            AND view = {view:String} AND policy = {policy:String} AND config_version = {config_version:Int32}
            AND segment = '' AND metric_id = {metric:String} AND treatment_variant = {treatment:String}
            AND computed_at <= moment
    ),
    (SELECT min(computed_at) FROM known) AS since,
    greatest(1000, intDiv(dateDiff('millisecond', since, moment), 240)) AS width_ms
SELECT *
FROM
(
    SELECT * FROM known
    ORDER BY computed_at DESC, version DESC
    LIMIT 1 BY intDiv(dateDiff('millisecond', since, computed_at), width_ms)
)
ORDER BY computed_at
LIMIT 1000

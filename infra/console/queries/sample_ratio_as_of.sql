-- Did every variant of an experiment have its share of users at a moment?
WITH if({moment_ms:Int64} = 0, now64(3, 'UTC'), fromUnixTimestamp64Milli({moment_ms:Int64}, 'UTC')) AS moment
SELECT *
FROM sample_ratio_history
WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String}
    AND bots = 'excluded' AND computed_at <= moment
ORDER BY computed_at DESC, version DESC
LIMIT 1 BY segment
LIMIT 5000

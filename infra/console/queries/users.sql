-- Who are the users of an experiment? By class, and how many of them came within a day before a moment.
WITH if({moment_ms:Int64} = 0, now64(3, 'UTC'), fromUnixTimestamp64Milli({moment_ms:Int64}, 'UTC')) AS moment
SELECT unit_class, sum(n) AS users,
    sumIf(n, cohort > moment - INTERVAL 1 DAY) AS users_of_a_day
FROM slots
WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String}
    AND metric_id = '' AND segment = '' AND cohort <= moment
GROUP BY unit_class

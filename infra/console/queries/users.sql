-- Who are the users of an experiment now? By class, and how many of them came within the last day.
SELECT unit_class, sum(n) AS users,
    sumIf(n, cohort > now64(3, 'UTC') - INTERVAL 1 DAY) AS users_of_a_day
FROM slots
WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String}
    AND metric_id = '' AND segment = ''
GROUP BY unit_class

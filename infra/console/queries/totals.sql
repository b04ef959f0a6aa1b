-- Up to when is an experiment counted, whether or not its results tell of it yet?
SELECT max(as_of) AS counted_up_to
FROM totals
WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String}
LIMIT 1

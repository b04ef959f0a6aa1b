-- What is known of an experiment now, about everyone and about every segment?
SELECT *
FROM results
WHERE tenant_id = {tenant:String} AND experiment_id = {experiment:String}
    AND view = {view:String} AND policy = {policy:String} AND config_version = {config_version:Int32}
ORDER BY segment, metric_id, treatment_variant
LIMIT 5000

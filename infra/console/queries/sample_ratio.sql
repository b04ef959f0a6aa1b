-- Did every variant of a tenant's experiments get its share of users? Bots left out; everyone and every segment.
SELECT *
FROM sample_ratio
WHERE tenant_id = {tenant:String} AND ({experiment:String} = '' OR experiment_id = {experiment:String})
    AND bots = 'excluded' AND ({experiment:String} != '' OR segment = '')
ORDER BY experiment_id, segment
LIMIT 5000

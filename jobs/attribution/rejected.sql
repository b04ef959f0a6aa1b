-- Which records take no part, why, and where are they in the log?
INSERT INTO rejected
SELECT tenant_id, refused.reason, refused.detail, refused.topic, refused.`partition`, refused.`offset`,
       refused.append_time, refused.record_key, refused.record_value
FROM counted
WHERE kind = 'rejected'

-- Whose record is it, and of which unit? (The heartbeat has done its work when it moved time.)
SELECT tenant_of(topic) AS tenant_id, unit_key, record_value, topic, `partition`, `offset`, append_time
FROM received
WHERE topic <> '{heartbeat_topic}'

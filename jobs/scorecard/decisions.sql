-- Which decisions did the answers contain? (As on their topic, each under its id.)
SELECT JSON_VALUE(answered, '$.decision_id') AS decision_id, answered AS decision
FROM answers
WHERE table_name = 'decisions'

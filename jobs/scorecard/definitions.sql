-- Which definitions has each experiment? (A deleted record defines nothing.)
SELECT JSON_VALUE(definition, '$.tenant_id') || '/' || JSON_VALUE(definition, '$.experiment_id') AS experiment,
       definition
FROM definitions
WHERE definition IS NOT NULL

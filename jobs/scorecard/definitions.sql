-- Which definitions has each experiment? (A deleted record defines nothing, and what is no definition neither.)
SELECT JSON_VALUE(definition, '$.tenant_id') || '/' || JSON_VALUE(definition, '$.experiment_id') AS experiment,
       definition
FROM definitions
WHERE JSON_VALUE(definition, '$.tenant_id') IS NOT NULL AND JSON_VALUE(definition, '$.experiment_id') IS NOT NULL

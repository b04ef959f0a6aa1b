-- Which definitions has each experiment? (A deleted record defines nothing, and what is no definition neither.)
SELECT experiment, definition
FROM (
  SELECT JSON_VALUE(definition, '$.tenant_id') || '/' || JSON_VALUE(definition, '$.experiment_id') AS experiment,
         definition
  FROM definitions)
WHERE experiment IS NOT NULL

-- Which definitions has each experiment?
SELECT JSON_VALUE(definition, '$.tenant_id') || '/' || JSON_VALUE(definition, '$.experiment_id') AS experiment, definition
FROM definitions

-- What do we know about each metric and treatment now? One row per key of the active epoch, its newest version.
CREATE VIEW results AS
WITH (SELECT * FROM active_epochs) AS active
SELECT *
FROM result_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0));

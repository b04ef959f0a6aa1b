-- What was decided, and because of which numbers? One row per decision of the active epoch, as it was first made.
CREATE VIEW decisions AS
WITH (SELECT * FROM active_epochs) AS active
SELECT *
FROM decision_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0));

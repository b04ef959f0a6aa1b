-- Did every variant get its share of users? One row per experiment, segment and treatment of bots, the newest of the active epoch.
CREATE VIEW sample_ratio AS
WITH (SELECT * FROM active_epochs) AS active
SELECT *
FROM sample_ratio_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0));

-- Since when do running minima (seq_p_min, crossed_at) and decisions count looks? One row per experiment of the active epoch:
-- its first minutes, or later where the job had to begin anew.
CREATE VIEW looks AS
WITH (SELECT * FROM active_epochs) AS active
SELECT tenant_id, epoch, experiment_id, since, as_of, version
FROM look_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0));

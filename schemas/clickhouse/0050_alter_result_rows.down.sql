ALTER TABLE result_rows
    DROP COLUMN seq_rel_diff,
    DROP COLUMN seq_rel_ci_lower,
    DROP COLUMN seq_rel_ci_upper;
ALTER TABLE result_history_rows
    DROP COLUMN seq_rel_diff,
    DROP COLUMN seq_rel_ci_lower,
    DROP COLUMN seq_rel_ci_upper;
CREATE OR REPLACE VIEW results AS
WITH (SELECT * FROM active_epochs) AS active
SELECT *
FROM result_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0));
CREATE OR REPLACE VIEW results_history AS
WITH (SELECT * FROM active_epochs) AS active
SELECT * EXCEPT (kept, kept_at)
FROM result_history_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0))
    AND (kept = 'decision' OR (kept = 'minute') = (computed_at >= now64(3) - INTERVAL 48 HOUR));

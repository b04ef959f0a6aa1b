-- The lift that holds at any look, as a share of the control's mean: of the difference that seq_ci is of. NULL in rows written
-- before, and where the control's mean may be 0 at that look. Views know the columns of their tables only once they are made anew.
ALTER TABLE result_rows
    ADD COLUMN seq_rel_diff Nullable(Float64) COMMENT 'The lift that seq_rel_ci is of: adjusted where there is a pre-period' AFTER seq_ci_upper,
    ADD COLUMN seq_rel_ci_lower Nullable(Float64) COMMENT 'Fieller, with the multiplier of seq_ci; valid under continuous looking' AFTER seq_rel_diff,
    ADD COLUMN seq_rel_ci_upper Nullable(Float64) AFTER seq_rel_ci_lower;
ALTER TABLE result_history_rows
    ADD COLUMN seq_rel_diff Nullable(Float64) AFTER seq_ci_upper,
    ADD COLUMN seq_rel_ci_lower Nullable(Float64) AFTER seq_rel_diff,
    ADD COLUMN seq_rel_ci_upper Nullable(Float64) AFTER seq_rel_ci_lower;
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

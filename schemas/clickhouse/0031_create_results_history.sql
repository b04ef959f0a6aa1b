-- What did we know about each metric and treatment, and when? Rows of the active epoch: by minutes for two days, by hours before.
-- `computed_at` is when a row could first be read; the answer at a moment is the newest row up to then.
CREATE VIEW results_history AS
WITH (SELECT * FROM active_epochs) AS active
SELECT * EXCEPT (kept, kept_at)
FROM result_history_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0))
    AND (kept = 'decision' OR (kept = 'minute') = (computed_at >= now64(3) - INTERVAL 48 HOUR));

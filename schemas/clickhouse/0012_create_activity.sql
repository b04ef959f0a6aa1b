-- What happened in each minute by the events' own clocks? Users in the variant they first saw; minutes that became empty are absent.
CREATE VIEW activity AS
WITH (SELECT * FROM active_epochs) AS active
SELECT
    tenant_id, epoch, minute, experiment_id, config_version, variant_id, metric_id, region,
    if(metric_id = '', n, 0) AS exposures,
    if(metric_id = '', 0, n) AS outcomes,
    toFloat64(value_micros) / 1000000 AS sum_value,
    value_micros, as_of, updates, version
FROM activity_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0))
    AND (n != 0 OR value_micros != 0);

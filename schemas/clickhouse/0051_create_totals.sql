-- What do the slots add up to over all cohorts? Told by the attribution job itself, seconds before the slots are: what view `all`
-- of the results is made of. Read as the view slots is.
CREATE VIEW totals AS
WITH (SELECT * FROM active_epochs) AS active
SELECT
    tenant_id, epoch, experiment_id, config_version, variant_id, metric_id, segment, unit_class, region,
    n,
    sum_y, sum_d, sum_x, sum_e,
    sum_yy, sum_yd, sum_yx, sum_ye, sum_dd, sum_dx, sum_de, sum_xx, sum_xe, sum_ee,
    as_of, updates, version
FROM slot_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(
        active.base,
        transform(concat(tenant_id, '/'), active.places, active.epochs, 0),
        transform(concat(tenant_id, '/', experiment_id), active.places, active.epochs, 0))
    AND kind = 'total'
    AND (n != 0 OR sum_y != 0 OR sum_d != 0 OR sum_x != 0 OR sum_e != 0
        OR sum_yy != 0 OR sum_yd != 0 OR sum_yx != 0 OR sum_ye != 0 OR sum_dd != 0
        OR sum_dx != 0 OR sum_de != 0 OR sum_xx != 0 OR sum_xe != 0 OR sum_ee != 0);

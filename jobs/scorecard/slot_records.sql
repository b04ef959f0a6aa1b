-- What was written to the slots topic, and where in its log? (Read once, used by everything below.)
SELECT kind, epoch, tenant_id, experiment_id, config_version, variant_id, metric_id, segment, cohort, unit_class, region,
       n, sums, as_of, updates, version, source_partition, source_offset
FROM slots

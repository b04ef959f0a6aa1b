-- Which row of ClickHouse's `slot_rows` does each record of the slots topic make, and where was it in the log?
SELECT source_partition AS lane,
       'slot_rows' AS table_name,
       JSON_OBJECT(
         'kind' VALUE kind, 'epoch' VALUE epoch, 'tenant_id' VALUE tenant_id, 'experiment_id' VALUE experiment_id,
         'config_version' VALUE config_version, 'variant_id' VALUE variant_id, 'metric_id' VALUE metric_id, 'segment' VALUE segment, 'cohort' VALUE cohort,
         'unit_class' VALUE unit_class, 'region' VALUE region, 'n' VALUE n, 'sums' VALUE sums, 'as_of' VALUE as_of,
         'updates' VALUE updates, 'version' VALUE version,
         'source_partition' VALUE source_partition, 'source_offset' VALUE source_offset) AS line,
       arrived_at
FROM slot_changes

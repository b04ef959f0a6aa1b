-- What does each record change, by the rules of attribution, and which records are refused?
SELECT *
FROM attribute(
  input => TABLE records PARTITION BY (tenant_id, unit_key),
  on_time => DESCRIPTOR(append_time),
  uid => 'attribution-by-unit')

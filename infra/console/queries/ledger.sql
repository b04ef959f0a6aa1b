-- What has become of every record received of a tenant?
SELECT sum(received) AS received, sum(counted) AS counted, sum(duplicate) AS duplicate, sum(waiting) AS waiting,
    sum(expired_unmatched) AS expired_unmatched, sum(rejected) AS rejected, sum(residue) AS residue,
    sum(late) AS late, max(as_of) AS counted_up_to,
    sum(unreadable) AS unreadable, sum(mismatch) AS mismatch, sum(bad_value) AS bad_value,
    sum(from_future) AS from_future, sum(too_late) AS too_late,
    sum(unknown_definition) AS unknown_definition, sum(unknown_variant) AS unknown_variant, sum(ended) AS ended
FROM ledger
WHERE tenant_id = {tenant:String}

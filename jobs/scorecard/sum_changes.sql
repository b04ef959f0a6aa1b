-- What did the sums become? (Every change of `sums` as an absolute row, without the values it replaced.)
SELECT *, PROCTIME() AS arrived_at
FROM TO_CHANGELOG(input => TABLE sums)
WHERE op IN ('INSERT', 'UPDATE_AFTER')

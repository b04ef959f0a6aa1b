-- Up to which moment is everything counted, per region? The least append time that a task of the attribution job has come
-- to. A task that has told nothing for half a minute while others did is one of an earlier, wider job.
CREATE VIEW coverage AS
WITH (SELECT * FROM active_epochs) AS active
SELECT
    region,
    min(as_of) AS watermark,
    (toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(watermark)) / 1000 AS lag_s
FROM
(
    SELECT region, as_of, version, max(version) OVER (PARTITION BY region) AS newest
    FROM slot_rows FINAL
    WHERE tenant_id = '' AND epoch = active.base AND kind = 'coverage'
)
WHERE version + 30000000 > newest
GROUP BY region;

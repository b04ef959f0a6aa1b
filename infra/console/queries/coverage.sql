-- Up to when has each region counted? The regions are those of the deployment; no tenant's data is in them.
SELECT region, watermark, lag_s FROM coverage ORDER BY region LIMIT 100

-- Which rows are to be written together? (Per lane in the order they came; one insert each.)
SELECT table_name, '[' || ARRAY_JOIN(ARRAY_AGG(line), ',') || ']' AS lines
FROM TABLE(TUMBLE(
  DATA => TABLE {rows}, TIMECOL => DESCRIPTOR(arrived_at), SIZE => INTERVAL '{window}' SECOND(3, 3)))
GROUP BY lane, table_name, window_start, window_end

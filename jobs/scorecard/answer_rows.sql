-- Which rows of which ClickHouse table did the statistics of an experiment make? (All of them in one line.)
SELECT table_name AS lane, table_name, answered AS line, arrived_at
FROM answers
WHERE table_name <> 'decisions'

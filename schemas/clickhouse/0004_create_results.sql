-- What do we know about each metric and treatment now? One row per key, its newest version.
CREATE VIEW results AS SELECT * FROM result_rows FINAL;

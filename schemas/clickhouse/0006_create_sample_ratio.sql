-- Did every variant get its share of users? One row per experiment, segment and treatment of bots, its newest version.
CREATE VIEW sample_ratio AS SELECT * FROM sample_ratio_rows FINAL;

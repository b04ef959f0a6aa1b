DROP VIEW sample_ratio SYNC;

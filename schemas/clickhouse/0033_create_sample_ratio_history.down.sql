DROP VIEW sample_ratio_history SYNC;

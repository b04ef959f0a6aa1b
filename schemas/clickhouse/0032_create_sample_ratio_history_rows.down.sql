DROP TABLE sample_ratio_history_rows SYNC;

DROP TABLE sample_ratio_rows SYNC;

DROP TABLE result_rows SYNC;

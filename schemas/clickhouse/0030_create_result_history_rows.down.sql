DROP TABLE result_history_rows SYNC;

DROP TABLE decision_rows SYNC;

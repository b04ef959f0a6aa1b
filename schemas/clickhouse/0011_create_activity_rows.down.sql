DROP TABLE activity_rows SYNC;

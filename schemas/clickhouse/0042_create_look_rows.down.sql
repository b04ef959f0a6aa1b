DROP TABLE look_rows SYNC;

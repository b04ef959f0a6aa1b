DROP TABLE slot_rows SYNC;

DROP VIEW active_epochs SYNC;

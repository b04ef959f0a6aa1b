DROP VIEW activity SYNC;

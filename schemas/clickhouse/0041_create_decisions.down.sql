DROP VIEW decisions SYNC;

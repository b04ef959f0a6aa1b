DROP VIEW coverage SYNC;

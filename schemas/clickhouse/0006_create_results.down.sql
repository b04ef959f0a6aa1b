DROP VIEW results SYNC;

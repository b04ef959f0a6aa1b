DROP VIEW results_history SYNC;

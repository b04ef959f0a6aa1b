DROP TABLE ledger_rows SYNC;

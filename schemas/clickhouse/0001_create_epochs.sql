-- Which rebuild of which results are readers shown? One row added here moves all views at once.
-- Of a tenant's experiment the greatest epoch of its own rows, its tenant's and everybody's rows counts; 0 without any.
CREATE TABLE epochs
(
    tenant_id String COMMENT 'Empty: all tenants',
    experiment_id String COMMENT 'Empty: all experiments of the tenant, and its ledger',
    epoch UInt16,
    activated_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
ORDER BY (tenant_id, experiment_id, epoch);

-- What became of every record received? One row per tenant, topic and minute of append time; residue is what nothing accounts for.
CREATE VIEW ledger AS
WITH (SELECT * FROM active_epochs) AS active
SELECT
    tenant_id, epoch, topic, minute,
    received, counted, duplicate, waiting, expired_unmatched,
    unreadable + mismatch + bad_value + from_future + too_late + unknown_definition + unknown_variant + ended AS rejected,
    unreadable, mismatch, bad_value, from_future, too_late, unknown_definition, unknown_variant, ended,
    late,
    received - counted - duplicate - waiting - expired_unmatched - rejected AS residue,
    as_of, updates, version
FROM ledger_rows FINAL
WHERE epoch >= active.base
    AND epoch = greatest(active.base, transform(concat(tenant_id, '/'), active.places, active.epochs, 0));

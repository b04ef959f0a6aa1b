-- Which epochs are active? One row, for the views: `base` is everybody's, and `epochs[i]` that of `places[i]`,
-- a tenant ('acme/') or an experiment ('acme/checkout'). Arrays, so that the views look each row's place up in
-- a constant: a join would read more and keep a reader's condition on the tenant from the table's index. For the
-- index, too, they ask for `epoch >= base`: what a rebuild of everything has superseded is not even read.
CREATE VIEW active_epochs AS
SELECT
    maxIf(newest, place = '/') AS base,
    groupArray(place) AS places,
    groupArray(newest) AS epochs
FROM
(
    SELECT concat(tenant_id, '/', experiment_id) AS place, max(epoch) AS newest
    FROM epochs
    GROUP BY place
);

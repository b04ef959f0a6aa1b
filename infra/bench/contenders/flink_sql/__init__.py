"""Plain Flink SQL: first exposures, a join, totals per user, sums per variant, in the files beside this one.

What an engineer would write who has Flink SQL and no rules of ours: no deduplication, no covariate, no
classes of users, no cohorts, sums in floating point. Where nothing was sent twice, its sums are livelift's.
"""

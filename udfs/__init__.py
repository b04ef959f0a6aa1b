"""The functions the jobs apply to data: statistics over sums, and the rules of attribution."""

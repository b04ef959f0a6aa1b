"""A small process that measures what Flink does not know, for Prometheus to read."""

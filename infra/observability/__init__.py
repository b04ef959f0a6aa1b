"""What operators look at: the exporter, dashboards, rules, and the page of all metrics."""

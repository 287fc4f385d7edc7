"""Metrics: what the console shows of the work of processes."""

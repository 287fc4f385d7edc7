"""Metrics: counts of the work of a process, and gauges of its backend."""

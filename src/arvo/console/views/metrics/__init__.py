"""Metrics: the views of the work of processes."""

"""Metrics: what a process did, and what its backend holds."""

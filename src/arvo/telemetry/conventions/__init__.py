"""Conventions: the names and the buckets of telemetry."""

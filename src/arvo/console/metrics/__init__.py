"""Metrics: samples what the deliveries of the console's own process were."""

"""Metrics: samples the outcomes of deliveries in the console's own process."""

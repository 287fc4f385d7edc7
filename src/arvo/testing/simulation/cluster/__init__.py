"""Cluster: a model of worker processes with their clocks, of their network and of the store."""

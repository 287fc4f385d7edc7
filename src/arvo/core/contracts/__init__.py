"""Contracts: the events that a handler accepts and emits, version by version."""

"""Payloads: the data of events, as Python classes, as JSON and as JSON Schema."""

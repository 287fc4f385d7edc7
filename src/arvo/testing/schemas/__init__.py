"""Schemas: Hypothesis strategies for the JSON data that a JSON Schema allows."""

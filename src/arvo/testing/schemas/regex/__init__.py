"""Regex: Hypothesis strategies for strings that match the regular expressions of JSON Schema."""

"""Violations."""

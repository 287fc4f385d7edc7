"""Compatibility."""

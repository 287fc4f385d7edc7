"""Benchmarks: the cost of each part of the library, next to a known cost."""

"""Benchmarks: what things cost, medians of several runs, beside something known."""

"""Benchmarks: what things cost, beside other libraries in the same run."""

"""Peers: the work of the benchmarks with other libraries, where they are installed."""

"""Execution: snapshots, and the macrostep that leads from one to the next."""

"""Faults: the faults that a simulation injects, as data, and the plan of where each hits."""

"""Limits: whether the limits of handlers hold in a simulated run."""

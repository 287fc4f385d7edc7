"""Checks: a record of a simulated run, and the checker that compares it with the promises."""

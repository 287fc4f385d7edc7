"""Retention: the conformance tests of what a backend removes, and what it archives before."""

"""Limits: the conformance tests of backends that hold the limits of handlers."""

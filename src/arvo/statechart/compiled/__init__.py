"""Compiled: a definition resolved into numbered nodes, ops and plans that a step looks up.

The modules depend on the definition only. Everything in them follows from the chart, so it can be
thrown away and built again.
"""

"""Turns: one step of a delivery, with its effects, its checkpoints and its commit."""

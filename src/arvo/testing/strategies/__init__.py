"""Strategies: Hypothesis strategies for payloads, events, replies and whole systems."""

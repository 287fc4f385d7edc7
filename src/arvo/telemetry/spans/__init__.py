"""Spans: those of attempts at messages, of their effects, and of workflows."""

"""Schedules: the views of schedules, and of the acts on them."""

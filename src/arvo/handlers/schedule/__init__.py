"""Schedules: workflows that begin other workflows at given times."""

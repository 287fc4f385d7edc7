"""Watching: follows one workflow, by its history and its record."""

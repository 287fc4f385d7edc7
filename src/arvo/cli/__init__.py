"""Cli: the workbench."""

"""Processes: repeat steps in processes in which strings have other hashes."""

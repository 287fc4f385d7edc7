"""Limits: the slots of limited handlers, which the processes on a backend share."""

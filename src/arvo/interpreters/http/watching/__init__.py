"""Watching: what a client that watches a workflow receives, as server-sent events."""

"""Batches: the views of acts on many workflows or dead letters."""

"""Replay: the replays of long histories for the pages, slice by slice, beside the event loop."""

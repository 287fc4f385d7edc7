"""Sending: the form by which a person sends an event."""

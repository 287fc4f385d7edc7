"""Arvo: event handlers and durable workflows as pure functions."""

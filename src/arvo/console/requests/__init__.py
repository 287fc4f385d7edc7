"""Requests: who asks for what, whether that is allowed, and what a page reads."""

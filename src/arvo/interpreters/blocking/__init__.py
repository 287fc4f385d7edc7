"""Blocking: a client and a runtime for code without asyncio, such as scripts, Django and Flask."""

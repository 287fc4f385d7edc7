"""HTTP: an ASGI app that accepts events, and a webhook that sends them. Loaded on demand only."""

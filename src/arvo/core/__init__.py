"""Core: what travels and what may be wanted."""

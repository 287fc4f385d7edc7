"""Core: events, contracts, commands and records as immutable values."""

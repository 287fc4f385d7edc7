"""Ports: the protocols that a storage backend, a store or a broker implements, and their values."""

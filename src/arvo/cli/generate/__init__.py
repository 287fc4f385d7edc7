"""Generate: the Python of a contract that exists as JSON."""

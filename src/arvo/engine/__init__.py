"""engine: one step, and a whole system run purely."""

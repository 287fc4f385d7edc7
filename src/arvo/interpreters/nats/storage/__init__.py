"""Storage: what a NATS memory stores: values of any size, rows of an index, and histories."""

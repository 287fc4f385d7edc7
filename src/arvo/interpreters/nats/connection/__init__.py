"""Connection: one connection to NATS servers, their settings, and the form of a message."""

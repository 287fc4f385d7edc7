"""Paired: a backend made of any machine memory and any broker, with an outbox in the memory."""

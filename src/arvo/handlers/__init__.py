"""handlers: who answers."""

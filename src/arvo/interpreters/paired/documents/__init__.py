"""Documents: what a pair stores in its memory and sends by its broker, as values and as bytes."""

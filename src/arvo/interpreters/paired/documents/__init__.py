"""Documents: the contents of a pair in its memory and its broker, as values and as bytes."""

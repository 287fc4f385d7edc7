"""compose: combinators that make a handler's function of others, and one handler of two."""

"""Reports: those of effects, on their way through a table of a SQLite file."""

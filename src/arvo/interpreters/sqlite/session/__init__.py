"""Session: one process at work on a SQLite file, with a writer thread and a reader thread."""

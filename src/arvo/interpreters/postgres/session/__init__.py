"""Session: one process at work on a database, its writer, its maintenance, its reconnects."""

"""Connection: opens a SQLite file, checks and migrates it, and translates SQLite's errors."""

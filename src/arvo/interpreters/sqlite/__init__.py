"""sqlite: the default backend, one file."""

from arvo.interpreters.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]

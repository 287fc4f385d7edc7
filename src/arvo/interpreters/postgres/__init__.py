"""postgres: a whole backend for any number of processes, and a memory for pairs."""

from arvo.interpreters.ports import Backend
from arvo.interpreters.postgres.backend import PostgresBackend
from arvo.interpreters.postgres.memory import PostgresMemory

__all__ = ["PostgresBackend", "PostgresMemory", "backend"]


def backend(url: str) -> Backend:
    """Give the backend of `postgresql://user@host/database`."""
    return PostgresBackend(url)


memory = PostgresMemory

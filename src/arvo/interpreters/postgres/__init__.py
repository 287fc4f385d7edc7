"""postgres: a backend for any number of processes, and a store of records for pairs."""

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.postgres.backend import PostgresBackend
from arvo.interpreters.postgres.connection import migrations
from arvo.interpreters.postgres.connection.connection import open_connection
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.connection.errors import DRIVER_ERRORS, translate_error
from arvo.interpreters.postgres.connection.inspection import inspect
from arvo.interpreters.postgres.store import PostgresMemory

__all__ = ["PostgresBackend", "PostgresMemory", "backend", "inspect", "migration_script", "upgrade"]


def backend(url: str) -> Backend:
    """Make the backend of `postgresql://user@host/database`."""
    return PostgresBackend(url)


memory = PostgresMemory


def migration_script(url: str) -> str:
    """Return the SQL that creates everything in an empty database, for a migration tool."""
    dsn = Dsn.parse(url)
    return "\n".join([f"create schema if not exists {dsn.schema};", *migrations.scripts(dsn)])


async def upgrade(url: str) -> int:
    """Create or upgrade the tables; return how many versions were applied.

    Raises `Unavailable` or `Corrupt`.
    """
    dsn = Dsn.parse(url)
    try:
        connection = await open_connection(dsn)
        try:
            return await migrations.upgrade(connection, dsn)
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate_error(error) from error

"""postgres: a whole backend for any number of processes, and a memory for pairs."""

from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.postgres.backend import PostgresBackend
from arvo.interpreters.postgres.connection.connection import open_link
from arvo.interpreters.postgres.connection.dsn import Address
from arvo.interpreters.postgres.connection.errors import RAISED, told
from arvo.interpreters.postgres.connection.migrations import scripts, upgrade
from arvo.interpreters.postgres.store import PostgresMemory

__all__ = ["PostgresBackend", "PostgresMemory", "backend", "script", "upgraded"]


def backend(url: str) -> Backend:
    """Give the backend of `postgresql://user@host/database`."""
    return PostgresBackend(url)


memory = PostgresMemory


def script(url: str) -> str:
    """Give the SQL that makes everything in an empty database, for a tool of your own."""
    address = Address.parse(url)
    return "\n".join([f"create schema if not exists {address.schema};", *scripts(address)])


async def upgraded(url: str) -> int:
    """Make or upgrade the tables; gives how many versions were made.

    Raises `Unavailable` or `Corrupt`.
    """
    address = Address.parse(url)
    try:
        link = await open_link(address)
    except RAISED as error:
        raise told(error) from error
    try:
        return await upgrade(link, address)
    except RAISED as error:
        raise told(error) from error
    finally:
        await link.close()

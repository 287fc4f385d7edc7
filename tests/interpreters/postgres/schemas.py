"""Schemas: one for each test, in a database that all share."""

from hashlib import blake2b
from pathlib import Path

import asyncpg

from arvo.interpreters.postgres.connection.dsn import Dsn
from tests import servers


def schema_url(folder: Path) -> str:
    """Return the URL of the schema of a folder: the same folder has the same schema."""
    name = blake2b(str(folder).encode(), digest_size=8).hexdigest()
    return f"{servers.postgres_url()}?schema=t_{name}"


async def execute(url: str, statement: str) -> None:
    """Run a statement with a connection of its own."""
    connection = await asyncpg.connect(servers.postgres_url())
    await connection.execute(Dsn.parse(url).sql(statement))
    await connection.close()

"""Upgrade: make our tables in a Postgres schema, or bring older ones to this version."""

from importlib.resources import files
from typing import Final

from arvo.interpreters.ports.backend import Corrupt
from arvo.interpreters.postgres.connection.dsn import Address, Link

# The numbered files of `schema`, each from one version to the next.
SCHEMA_VERSION: Final = 1


def scripts(address: Address) -> tuple[str, ...]:
    """Give the SQL of each version, first to last, once the schema is there.

    People who have a tool of their own for migrations run these by it.
    """
    folder = files("arvo.interpreters.postgres") / "schema"
    return tuple(
        address.sql((folder / f"{number:04}.sql").read_text(encoding="utf-8"))
        for number in range(1, SCHEMA_VERSION + 1)
    )


async def upgrade(connection: Link, address: Address) -> int:
    """Create or upgrade the tables, in one transaction; gives how many versions were made.

    Raises `Corrupt` where a later version of ours, or somebody else, has been there.
    """
    if await _version(connection, address) == SCHEMA_VERSION:
        return 0
    async with connection.transaction():
        # Of those who start at once, one makes them.
        await connection.execute("select pg_advisory_xact_lock($1)", address.hash("(upgrade)"))
        version = await _version(connection, address)
        if not version:
            await _make_room(connection, address)
        for script in scripts(address)[version:]:
            await connection.execute(script)
    return SCHEMA_VERSION - version


async def prepare(connection: Link, address: Address) -> None:
    """Make the tables be there, or make sure that they are, as the address says."""
    await (upgrade if address.migrate else check)(connection, address)


async def check(connection: Link, address: Address) -> None:
    """Make sure that the tables are there, and of this version; raises `Corrupt` else."""
    version = await _version(connection, address)
    if version < SCHEMA_VERSION:
        what = f"has version {version} of {SCHEMA_VERSION}" if version else "is not there"
        remedy = "run arvo upgrade --backend URL, or let the URL end in migrate=yes"
        raise Corrupt(f"the schema {address.schema} {what}: {remedy}")


async def _version(connection: Link, address: Address) -> int:
    # Not `to_regclass`: in a transaction it may remember that there was none.
    if not await connection.fetchval(f"{_TABLES} and relname = 'version'", address.schema):
        return 0
    found = await connection.fetchval(address.sql("select max(number) from arvo.version"))
    version = int(found or 0)
    if version > SCHEMA_VERSION:
        remedy = f"upgrade arvo, or name another schema (this one has version {version})"
        raise Corrupt(f"the schema {address.schema} was made by a later arvo: {remedy}")
    return version


async def _make_room(connection: Link, address: Address) -> None:
    if await connection.fetchval(f"{_TABLES} limit 1", address.schema):
        remedy = "name another schema (?schema=...); nothing was changed"
        raise Corrupt(f"the schema {address.schema} holds tables that are not ours: {remedy}")
    exists = await connection.fetchval(
        "select 1 from pg_namespace where nspname = $1", address.schema
    )
    if not exists:
        # Not `if not exists`: that asks for the right to create one where there is one already.
        await connection.execute(f"create schema {address.schema}")


_TABLES: Final = (
    "select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
    " where nspname = $1"
)

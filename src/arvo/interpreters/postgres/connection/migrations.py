"""Migrations: create the tables in a Postgres schema, or bring older ones to this version."""

from importlib.resources import files
from typing import Final

from arvo.core.events.subject import workflow_id_of
from arvo.interpreters.delivery.codec import decode_dead_letter
from arvo.interpreters.delivery.operations import group_key
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn

# The number of files in `schema`; each goes from one version to the next.
SCHEMA_VERSION: Final = 16
# The first versions with workflow ids and with the groups of dead letters, and how many rows are
# read at a time to fill them in.
_WORKFLOW_IDS: Final = 10
_GROUPS: Final = 12
_ROWS_MAX: Final = 1_000
# Each may have 1 MiB.
_DEAD_LETTERS_MAX: Final = 50


def scripts(dsn: Dsn) -> tuple[str, ...]:
    """Return the SQL of each version, in order; the schema must exist.

    A migration tool can run them instead of `upgrade`.
    """
    folder = files("arvo.interpreters.postgres") / "schema"
    return tuple(
        dsn.sql((folder / f"{number:04}.sql").read_text(encoding="utf-8"))
        for number in range(1, SCHEMA_VERSION + 1)
    )


async def upgrade(connection: Connection, dsn: Dsn) -> int:
    """Create or upgrade the tables in one transaction; return how many versions were applied.

    Raises `Corrupt` for a schema of another program or of a later version.
    """
    if await installed_version(connection, dsn) == SCHEMA_VERSION:
        return 0
    async with connection.transaction():
        # Of the processes that start together, one creates them and the others wait.
        await connection.execute("select pg_advisory_xact_lock($1)", dsn.hash("(upgrade)"))
        version = await installed_version(connection, dsn)
        if not version:
            await _create_schema(connection, dsn)
        for script in scripts(dsn)[version:]:
            await connection.execute(script)
        if 0 < version < _WORKFLOW_IDS:
            await _fill_workflow_ids(connection, dsn)
        if 0 < version < _GROUPS:
            await _fill_groups(connection, dsn)
    return SCHEMA_VERSION - version


async def _fill_workflow_ids(connection: Connection, dsn: Dsn) -> None:
    """Set the workflow id of each row of an earlier version: SQL cannot read a subject."""
    last = 0
    select = dsn.sql("select id, subject from arvo.workflow where id > $1 order by id limit $2")
    while rows := await connection.fetch(select, last, _ROWS_MAX):
        ids = [workflow_id_of(row["subject"]) or None for row in rows]
        await connection.execute(dsn.sql(_SET_WORKFLOW_IDS), [row["id"] for row in rows], ids)
        last = rows[-1]["id"]


_SET_WORKFLOW_IDS: Final = """
update arvo.workflow set workflow_id = new.workflow_id
from unnest($1::bigint[], $2::text[]) as new (id, workflow_id) where workflow.id = new.id
"""


async def _fill_groups(connection: Connection, dsn: Dsn) -> None:
    """Set the group of each dead letter of an earlier version."""
    last = ""
    select = dsn.sql("select id, content from arvo.dead_letter where id > $1 order by id limit $2")
    while rows := await connection.fetch(select, last, _DEAD_LETTERS_MAX):
        groups = [group_key(decode_dead_letter(row["content"])) for row in rows]
        ids = [row["id"] for row in rows]
        await connection.execute(dsn.sql(_SET_GROUPS), ids, *map(list, zip(*groups, strict=True)))
        last = rows[-1]["id"]


_SET_GROUPS: Final = """
update arvo.dead_letter set cause = new.cause, handler = new.handler, type = new.type
from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as new (id, cause, handler, type)
where dead_letter.id = new.id
"""


async def prepare(connection: Connection, dsn: Dsn) -> None:
    """Upgrade the tables, or check them where the DSN forbids that; raises `Corrupt`."""
    await (upgrade if dsn.migrate else check)(connection, dsn)


async def check(connection: Connection, dsn: Dsn) -> None:
    """Raise `Corrupt` unless the tables exist and have this version."""
    version = await installed_version(connection, dsn)
    if version < SCHEMA_VERSION:
        fault = f"has version {version} of {SCHEMA_VERSION}" if version else "is not there"
        remedy = "run arvo upgrade --backend URL, or let the URL end in migrate=yes"
        raise Corrupt(f"the schema {dsn.schema} {fault}: {remedy}")


async def installed_version(connection: Connection, dsn: Dsn) -> int:
    """Return the version of the tables, 0 where there are none; raise `Corrupt` for a later one."""
    # Not `to_regclass`: in a transaction it may return a cached null.
    if not await connection.fetchval(f"{_TABLES} and relname = 'version'", dsn.schema):
        return 0
    row = await connection.fetchval(dsn.sql("select max(number) from arvo.version"))
    version = int(row or 0)
    if version > SCHEMA_VERSION:
        remedy = f"upgrade arvo, or name another schema (this one has version {version})"
        raise Corrupt(f"the schema {dsn.schema} was made by a later arvo: {remedy}")
    return version


async def _create_schema(connection: Connection, dsn: Dsn) -> None:
    if await connection.fetchval(f"{_TABLES} limit 1", dsn.schema):
        remedy = "name another schema (?schema=...); nothing was changed"
        raise Corrupt(f"the schema {dsn.schema} holds tables that are not ours: {remedy}")
    exists = await connection.fetchval("select 1 from pg_namespace where nspname = $1", dsn.schema)
    if not exists:
        # Not `if not exists`: it needs the right to create a schema even where there is one.
        await connection.execute(f"create schema {dsn.schema}")


_TABLES: Final = (
    "select relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
    " where nspname = $1"
)

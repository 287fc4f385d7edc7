"""Migrations: create the tables in a SQLite file, or bring an older file to this version."""

import sqlite3
from importlib.resources import files
from typing import Final

from arvo.core.events.subject import workflow_id_of
from arvo.interpreters.delivery.codec import decode_dead_letter
from arvo.interpreters.delivery.operations import group_key
from arvo.interpreters.ports.errors import Corrupt

# "ARVO" in the file's header, so that the file of another program is never taken for ours.
APPLICATION_ID: Final = 0x4152564F
# The number of files in `schema`; each goes from one version to the next.
SCHEMA_VERSION: Final = 17


def scripts() -> tuple[str, ...]:
    """Return the SQL of each version, in order."""
    folder = files("arvo.interpreters.sqlite") / "schema"
    return tuple(
        (folder / f"{number:04}.sql").read_bytes().decode()
        for number in range(1, SCHEMA_VERSION + 1)
    )


def upgrade(connection: sqlite3.Connection, path: str) -> None:
    """Create or upgrade the tables in one transaction.

    Raises `Corrupt` for a file of another program or of a later version.
    """
    connection.execute("begin immediate")
    try:
        _upgrade(connection, path)
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def check(connection: sqlite3.Connection, path: str) -> int:
    """Return the version of a file, 0 for an empty one.

    Raises `Corrupt` for a file of another program or of a later version.
    """
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    (tables,) = connection.execute("select count(*) from sqlite_master").fetchone()
    if application != APPLICATION_ID and (tables or application or version):
        remedy = "name another file, or move this one away; nothing was written to it"
        raise Corrupt(f"{path} holds the tables of another program: {remedy}")
    if version > SCHEMA_VERSION:
        remedy = f"upgrade arvo, or name another file (this one has version {version})"
        raise Corrupt(f"{path} was written by a later version of arvo: {remedy}")
    return int(version)


def _upgrade(connection: sqlite3.Connection, path: str) -> None:
    version = check(connection, path)
    connection.create_function("arvo_workflow_id", 1, workflow_id_of, deterministic=True)
    connection.create_function("arvo_dead_letter", 2, _group_part, deterministic=True)
    for script in scripts()[version:]:
        for statement in _statements(script):
            connection.execute(statement)
    if version < SCHEMA_VERSION:
        # Pragmas take no parameters; both values are constants of this module.
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")


def _group_part(content: bytes, part: int) -> str:
    return group_key(decode_dead_letter(content))[part]


def _statements(script: str) -> list[str]:
    # Not `executescript`: it commits first, and an upgrade must be atomic.
    statements: list[str] = []
    rest = ""
    for line in script.splitlines():
        rest += line + "\n"
        if sqlite3.complete_statement(rest):
            statements.append(rest)
            rest = ""
    return statements

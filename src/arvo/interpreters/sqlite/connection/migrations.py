"""Upgrade: make a SQLite file ours, or bring an older one of ours to this version."""

import sqlite3
from importlib.resources import files
from typing import Final

from arvo.interpreters.ports.backend import Corrupt

# "ARVO" in the file's header, so that nobody's other file is taken for one of ours.
APPLICATION_ID: Final = 0x4152564F
# The numbered files of `schema`, each from one version to the next.
SCHEMA_VERSION: Final = 2


def scripts() -> tuple[str, ...]:
    """Give the SQL of each version, first to last."""
    folder = files("arvo.interpreters.sqlite") / "schema"
    return tuple(
        (folder / f"{number:04}.sql").read_bytes().decode()
        for number in range(1, SCHEMA_VERSION + 1)
    )


def upgrade(connection: sqlite3.Connection, path: str) -> None:
    """Create or upgrade the tables in one transaction; raises `Corrupt` for what is not ours."""
    connection.execute("begin immediate")
    try:
        _upgrade(connection, path)
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def check(connection: sqlite3.Connection, path: str) -> int:
    """Give the version of a file, 0 for an empty one; raises `Corrupt` for what is not ours."""
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
    for script in scripts()[version:]:
        for statement in _statements(script):
            connection.execute(statement)
    if version < SCHEMA_VERSION:
        # Pragmas take no parameters; both are constants of ours.
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute(f"pragma user_version = {SCHEMA_VERSION}")


def _statements(script: str) -> list[str]:
    # Not `executescript`: it commits first, and an upgrade is whole or not at all.
    found: list[str] = []
    rest = ""
    for line in script.splitlines():
        rest += line + "\n"
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found

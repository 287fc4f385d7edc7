"""Inspection: read the state of a database in a transaction that can change nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, final

from attrs import frozen

from arvo.interpreters.postgres.connection.connection import open_connection
from arvo.interpreters.postgres.connection.dsn import Dsn
from arvo.interpreters.postgres.connection.errors import DRIVER_ERRORS, translate_error
from arvo.interpreters.postgres.connection.migrations import SCHEMA_VERSION, installed_version

# Where one of these is off, a crash of the server may lose commits that it has acknowledged.
_SETTINGS: Final = ("fsync", "full_page_writes", "synchronous_commit")


@final
@frozen(kw_only=True)
class Inspection:
    """The state of a database.

    *version* of the tables, 0 where there are none, and the one that is *expected*; *migrate*:
    whether a worker may upgrade them. *skew*: how many seconds the server's clock is ahead of this
    process's at least. *settings*: the server's `fsync`, `full_page_writes` and
    `synchronous_commit`.
    """

    version: int
    expected: int
    migrate: bool
    skew: float
    settings: Mapping[str, str]


async def inspect(url: str) -> Inspection:
    """Inspect the schema of a URL. Raises `Unavailable`, and `Corrupt` for a later version."""
    dsn = Dsn.parse(url)
    try:
        connection = await open_connection(dsn)
        try:
            async with connection.transaction(readonly=True):
                before = datetime.now(UTC)
                server = await connection.fetchval("select clock_timestamp()")
                after = datetime.now(UTC)
                query = "select name, setting from pg_settings where name = any($1::text[])"
                settings = await connection.fetch(query, list(_SETTINGS))
                version = await installed_version(connection, dsn)
        finally:
            await connection.close()
    except DRIVER_ERRORS as error:
        raise translate_error(error) from error
    return Inspection(
        version=version,
        expected=SCHEMA_VERSION,
        migrate=dsn.migrate,
        skew=clock_skew(before, server, after),
        settings={row["name"]: row["setting"] for row in settings},
    )


def clock_skew(before: datetime, server: datetime, after: datetime) -> float:
    """Return the seconds that *server* is ahead of this process's clock at least.

    Its answer was made between *before* and *after*; a time within them shows no skew.

    >>> times = [datetime(2030, 1, 1, 12, 0, second, tzinfo=UTC) for second in range(4)]
    >>> clock_skew(times[0], times[1], times[2]), clock_skew(times[2], times[0], times[3])
    (0.0, -2.0)
    """
    if before <= server <= after:
        return 0.0
    return (server - (after if server > after else before)).total_seconds()

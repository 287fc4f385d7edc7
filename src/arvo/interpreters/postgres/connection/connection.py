"""Connection: connections to Postgres and pools of them, with our limits and settings."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import asyncpg

from arvo.interpreters.postgres.connection.dsn import Dsn

# A statement that takes longer is abandoned with its connection: the network may be down.
STATEMENT_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 10.0
# How long a transaction may take, unless the caller sets another limit.
TRANSACTION: Final = timedelta(seconds=STATEMENT_SECONDS)
# The first version that has `transaction_timeout`.
_TIMEOUT_VERSION: Final = 17


async def open_connection(
    dsn: Dsn, transaction: timedelta = TRANSACTION
) -> "asyncpg.Connection[asyncpg.Record]":
    """Open one connection; see `open_pool` for *transaction*."""
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        dsn.url, **_options(dsn, transaction)
    )
    try:
        await _limit_transactions(connection, dsn, transaction)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def open_pool(
    dsn: Dsn, size: int, transaction: timedelta = TRANSACTION
) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool of at most *size* connections.

    *transaction*: how long the server lets a transaction be open. Without that limit a process that
    is stopped in the middle of one, by a debugger or a frozen machine, would keep its locks for
    ever.
    """

    async def init(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        await _limit_transactions(connection, dsn, transaction)

    return await asyncpg.create_pool(
        dsn.url,
        min_size=1,
        max_size=size,
        init=init,
        reset=_skip_reset,
        **_options(dsn, transaction),
    )


def _options(dsn: Dsn, transaction: timedelta) -> dict[str, Any]:
    options: dict[str, Any] = {"command_timeout": STATEMENT_SECONDS, "timeout": CONNECT_SECONDS}
    if dsn.pooler:
        # Other clients use the connection in between, so it keeps no statements and no settings.
        return {**options, "statement_cache_size": 0}
    limit = str(_milliseconds(transaction))
    settings = {"application_name": "arvo", "idle_in_transaction_session_timeout": limit}
    return {**options, "server_settings": settings}


async def _limit_transactions(
    connection: "asyncpg.Connection[asyncpg.Record]", dsn: Dsn, transaction: timedelta
) -> None:
    if not dsn.pooler and connection.get_server_version().major >= _TIMEOUT_VERSION:
        limit = str(_milliseconds(transaction))
        await connection.execute("select set_config('transaction_timeout', $1, false)", limit)


async def _skip_reset(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Return a connection to the pool as it is.

    We change no state of a connection, and a reset would cost a round trip.
    """


def _milliseconds(time: timedelta) -> int:
    return max(1, int(time.total_seconds() * 1000))


def has_failed(opening: "asyncio.Task[Any]") -> bool:
    """Return True if a task that opens connections has ended without any."""
    return opening.done() and (opening.cancelled() or opening.exception() is not None)

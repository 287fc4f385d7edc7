"""Pool: connections to Postgres, opened as ours have to be."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import asyncpg

from arvo.interpreters.postgres.connection.dsn import Address

# A statement that takes longer is given up, and the connection with it: the network may be gone.
STATEMENT_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 10.0
# How long a transaction may take where nobody says otherwise.
TRANSACTION: Final = timedelta(seconds=STATEMENT_SECONDS)
# The first version that ends a transaction whose client is stopped between two messages.
_ENDS_TRANSACTIONS: Final = 17


async def open_link(
    address: Address, transaction: timedelta = TRANSACTION
) -> "asyncpg.Connection[asyncpg.Record]":
    """Open one connection."""
    link: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        address.url, **_options(address, transaction)
    )
    await _limit(link, address, transaction)
    return link


async def open_pool(
    address: Address, size: int, transaction: timedelta = TRANSACTION
) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool of at most *size* connections.

    *transaction*: how long the server lets one be open. A process that is stopped in the middle of
    one, by a debugger or a frozen machine, would keep its locks for ever else.
    """

    async def init(link: "asyncpg.Connection[asyncpg.Record]") -> None:
        await _limit(link, address, transaction)

    return await asyncpg.create_pool(
        address.url,
        min_size=1,
        max_size=size,
        init=init,
        reset=_keep,
        **_options(address, transaction),
    )


def _options(address: Address, transaction: timedelta) -> dict[str, Any]:
    options: dict[str, Any] = {"command_timeout": STATEMENT_SECONDS, "timeout": CONNECT_SECONDS}
    if address.pooler:
        # Neither statements nor settings stay with a connection that others have in between.
        return {**options, "statement_cache_size": 0}
    limit = str(_milliseconds(transaction))
    settings = {"application_name": "arvo", "idle_in_transaction_session_timeout": limit}
    return {**options, "server_settings": settings}


async def _limit(
    link: "asyncpg.Connection[asyncpg.Record]", address: Address, transaction: timedelta
) -> None:
    if not address.pooler and link.get_server_version().major >= _ENDS_TRANSACTIONS:
        limit = str(_milliseconds(transaction))
        await link.execute("select set_config('transaction_timeout', $1, false)", limit)


async def _keep(_: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Leave a connection as it is: we change nothing in it, and asking would cost a way there."""


def _milliseconds(time: timedelta) -> int:
    return max(1, int(time.total_seconds() * 1000))


def has_failed(opening: "asyncio.Task[object]") -> bool:
    """Tell whether what opens connections has ended without any."""
    return opening.done() and (opening.cancelled() or opening.exception() is not None)

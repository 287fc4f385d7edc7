"""Session: one process at work on a database, under one name, until its connections are lost."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar, final

import asyncpg
from attrs import define, field

from arvo.interpreters.ports.backend import Unavailable
from arvo.interpreters.postgres.connection.connection import open_link, open_pool
from arvo.interpreters.postgres.connection.dsn import Address, Link
from arvo.interpreters.postgres.connection.errors import RAISED, is_sure, told
from arvo.interpreters.postgres.connection.migrations import prepare
from arvo.interpreters.postgres.statements.tables import channel
from arvo.interpreters.postgres.statements.workers import join, leave

T = TypeVar("T")

# Connections of a process beside the one that listens.
POOL_MAX: Final = 6
CLOSE_SECONDS: Final = 5.0


@final
@define(eq=False)
class Session:
    """Connections, and the number (*me*) under which this process has deliveries.

    A write whose outcome is not known ends the session: everything that was handed to this process
    is let go of, and it begins anew under another number. So nothing stays behind that the database
    takes for ours and we have never heard of. *told* is called then.
    """

    address: Address
    pool: "asyncpg.Pool[asyncpg.Record]"
    listener: "asyncpg.Connection[asyncpg.Record]"
    me: int
    told: Callable[[], None]
    _is_lost: bool = field(default=False, init=False)

    @property
    def is_lost(self) -> bool:
        """Whether it is over."""
        return self._is_lost or self.listener.is_closed()

    def lose(self) -> None:
        """Begin anew: what this process has is not known here any more."""
        self._is_lost = True
        self.told()

    async def read(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Read by a connection of the pool."""
        try:
            async with self.pool.acquire() as connection:
                return await work(connection)
        except RAISED as error:
            raise told(error) from error

    async def write(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Write by a connection of the pool; the session is lost where it is not known whether."""
        try:
            async with self.pool.acquire() as connection:
                return await work(connection)
        except RAISED as error:
            if not is_sure(error):
                self.lose()
            raise told(error) from error

    async def close(self) -> None:
        """Give back what this process has, and close the connections."""
        if not self.is_lost:
            with suppress(*RAISED):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await leave(self.listener, self.address, [self.me])
        await self.drop()

    async def drop(self) -> None:
        """Close the connections; what this process has is let go of by whoever comes next."""
        self._is_lost = True
        self.listener.terminate()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.pool.close()
        except RAISED:
            pass  # they are closed without a word, then
        finally:
            self.pool.terminate()


async def open_session(
    address: Address,
    lease: timedelta,
    *,
    before: int | None,
    news: Callable[[], None],
    lost: Callable[[], None],
) -> Session:
    """Connect, make or check the tables, and begin to work.

    *before*: the number under which this process worked until it lost its connections. *news* is
    called when others have something for us, *lost* when the connection that listens is gone.
    Raises `Unavailable` or `Corrupt`.
    """
    listener: asyncpg.Connection[asyncpg.Record] | None = None
    pool: asyncpg.Pool[asyncpg.Record] | None = None
    try:
        listener = await open_link(address, lease)
        await prepare(listener, address)
        pool = await open_pool(address, POOL_MAX, lease)
        if not address.pooler:
            await listener.add_listener(channel(address), lambda *_: news())
            listener.add_termination_listener(lambda *_: lost())
        if before is not None:
            await leave(listener, address, [before])
        me = await join(listener, address, lease)
    except BaseException as error:
        if listener is not None:
            listener.terminate()
        if pool is not None:
            pool.terminate()
        if isinstance(error, RAISED):
            raise told(error) from error
        if isinstance(error, ValueError):
            raise Unavailable(f"Postgres: the URL is not understood: {error}") from error
        raise
    return Session(address, pool, listener, me, lost)

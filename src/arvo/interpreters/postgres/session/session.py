"""Session: one process at work on a database, until its connections are lost."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final, TypeVar, final

import asyncpg
from attrs import define, field

from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.postgres.connection.connection import open_connection, open_pool
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.connection.errors import (
    DRIVER_ERRORS,
    is_rolled_back,
    translate_error,
)
from arvo.interpreters.postgres.connection.migrations import prepare
from arvo.interpreters.postgres.statements.workers import deregister, register

T = TypeVar("T")

# Connections of a process, besides the one that listens.
POOL_MAX: Final = 6
CLOSE_SECONDS: Final = 5.0


@final
@define(eq=False)
class Session:
    """Connections, and the worker id under which this process owns deliveries.

    A write whose outcome is unknown invalidates the session: all deliveries of this process are
    released, and it begins anew under another id. Otherwise the database could hold deliveries of
    this worker that the process does not know of. *on_lost* is called then.
    """

    dsn: Dsn
    pool: "asyncpg.Pool[asyncpg.Record]"
    listener: "asyncpg.Connection[asyncpg.Record]"
    worker_id: int
    on_lost: Callable[[], None]
    _is_invalid: bool = field(default=False, init=False)

    @property
    def is_lost(self) -> bool:
        """True if the session was invalidated, or its listening connection was closed."""
        return self._is_invalid or self.listener.is_closed()

    def invalidate(self) -> None:
        """End the session: this process no longer knows which deliveries it owns."""
        self._is_invalid = True
        self.on_lost()

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Call *work* with a connection; raises `Unavailable` or `Corrupt`."""
        try:
            async with self.pool.acquire() as connection:
                return await work(connection)
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Call *work* with a connection; invalidate the session if the outcome is unknown."""
        try:
            async with self.pool.acquire() as connection:
                return await work(connection)
        except DRIVER_ERRORS as error:
            if not is_rolled_back(error):
                self.invalidate()
            raise translate_error(error) from error

    async def close(self) -> None:
        """Release the deliveries of this process, and close the connections."""
        if not self.is_lost:
            with suppress(*DRIVER_ERRORS):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await deregister(self.listener, self.dsn, self.worker_id)
        await self.terminate()

    async def terminate(self) -> None:
        """Close the connections; another worker, or the next session, releases the deliveries."""
        self._is_invalid = True
        self.listener.terminate()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.pool.close()
        except DRIVER_ERRORS:
            pass  # they are cut below
        finally:
            self.pool.terminate()


async def open_session(
    dsn: Dsn,
    lease: timedelta,
    *,
    services: str,
    previous_worker_id: int | None,
    on_notify: Callable[[], None],
    on_lost: Callable[[], None],
) -> Session:
    """Connect, create or check the tables, and register a worker with its *services*.

    *previous_worker_id*: the id of this process before it lost its connections. *on_notify* is
    called when other processes have sent messages, *on_lost* when the listening connection ends.
    Raises `Unavailable` or `Corrupt`.
    """
    listener: asyncpg.Connection[asyncpg.Record] | None = None
    pool: asyncpg.Pool[asyncpg.Record] | None = None
    try:
        listener = await open_connection(dsn, lease)
        await prepare(listener, dsn)
        pool = await open_pool(dsn, POOL_MAX, lease)
        if not dsn.pooler:
            await listener.add_listener(dsn.channel, lambda *_: on_notify())
            listener.add_termination_listener(lambda *_: on_lost())
        if previous_worker_id is not None:
            await deregister(listener, dsn, previous_worker_id)
        worker_id = await register(listener, dsn, lease, services)
    except BaseException as error:
        if listener is not None:
            listener.terminate()
        if pool is not None:
            pool.terminate()
        if isinstance(error, DRIVER_ERRORS):
            raise translate_error(error) from error
        if isinstance(error, ValueError):
            raise Unavailable(f"Postgres: the URL is not understood: {error}") from error
        raise
    return Session(dsn, pool, listener, worker_id, on_lost)

"""Memory: records in Postgres, where a broker of another kind carries the events."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final, TypeVar, final

import asyncpg
from attrs import define, field

from arvo.interpreters.ports.backend import Conflict, Corrupt
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.postgres.connection.connection import has_failed, open_pool
from arvo.interpreters.postgres.connection.dsn import Address, Link
from arvo.interpreters.postgres.connection.errors import RAISED, told
from arvo.interpreters.postgres.connection.migrations import prepare

T = TypeVar("T")

POOL_MAX: Final = 10


@final
@define(eq=False)
class PostgresMemory:
    """One row for each subject. *url*: see `Address.parse`.

    What a write has answered survives what the server's own commit survives.
    """

    url: str = field(repr=False)
    _address: Address = field(init=False)
    _opening: "asyncio.Task[asyncpg.Pool[asyncpg.Record]] | None" = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._address = Address.parse(self.url)

    async def read(self, subject: str) -> Stored | None:
        """Give what is held for a subject."""

        async def work(connection: Link) -> Stored | None:
            row = await connection.fetchrow(self._address.sql(_READ), _digest(subject))
            return None if row is None else Stored(row["record"], row["revision"])

        return await self._do(work)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Hold *record* if the revision that is held is *expected*."""

        async def work(connection: Link) -> Stored | Conflict:
            statement = _UPDATE if expected else _INSERT
            revision = await connection.fetchval(
                self._address.sql(statement), _digest(subject), record, expected
            )
            if revision is not None:
                return Stored(record, revision)
            held = await connection.fetchrow(self._address.sql(_READ), _digest(subject))
            return Conflict(0 if held is None else held["revision"])

        return await self._do(work)

    async def close(self) -> None:
        """Close the connections; used again, it opens new ones."""
        opening, self._opening = self._opening, None
        if opening is not None:
            try:
                pool = await opening
            except (*RAISED, Corrupt):
                return  # there is nothing to close
            await pool.close()

    async def _do(self, work: Callable[[Link], Awaitable[T]]) -> T:
        try:
            if self._opening is None or has_failed(self._opening):
                self._opening = asyncio.create_task(self._open())
            # Not to be cancelled by one of those who wait for it.
            pool = await asyncio.shield(self._opening)
            async with pool.acquire() as connection:
                return await work(connection)
        except RAISED as error:
            raise told(error) from error

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        pool = await open_pool(self._address, POOL_MAX)
        try:
            async with pool.acquire() as connection:
                await prepare(connection, self._address)
        except BaseException:
            pool.terminate()
            raise
        return pool


def _digest(subject: str) -> bytes:
    return blake2b(subject.encode(errors="surrogatepass"), digest_size=32).digest()


_READ: Final = "select revision, record from arvo.memory where subject = $1"
_INSERT: Final = """
insert into arvo.memory (subject, record, revision) select $1, $2, 1 + $3::bigint
on conflict do nothing returning revision
"""
_UPDATE: Final = """
update arvo.memory set record = $2, revision = revision + 1 where subject = $1 and revision = $3
returning revision
"""

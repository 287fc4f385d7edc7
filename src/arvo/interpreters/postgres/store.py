"""Store: records in Postgres, for a pair whose broker is another system."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Final, TypeVar, final

import asyncpg
from attrs import define, field

from arvo.interpreters.delivery.url_options import refuse_option
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.results import Conflict
from arvo.interpreters.postgres.connection.connection import has_failed, open_pool
from arvo.interpreters.postgres.connection.dsn import Connection, Dsn
from arvo.interpreters.postgres.connection.errors import DRIVER_ERRORS, translate_error
from arvo.interpreters.postgres.connection.migrations import prepare

T = TypeVar("T")

POOL_MAX: Final = 10


@final
@define(eq=False)
class PostgresMemory:
    """One row for each subject. *url*: see `Dsn.parse`, without `lease` and `queue_max`.

    A write that has returned is as durable as a commit of the server.
    """

    url: str = field(repr=False)
    _dsn: Dsn = field(init=False)
    _opening: "asyncio.Task[asyncpg.Pool[asyncpg.Record]] | None" = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._dsn = Dsn.parse(self.url)
        for name in ("lease", "queue_max"):
            if getattr(self._dsn, name) is not None:
                raise refuse_option(name, "migrate, pooler or schema", "an option of a backend")

    async def read(self, subject: str) -> Stored | None:
        """Read the record of a subject, None if there is none."""

        async def work(connection: Connection) -> Stored | None:
            row = await connection.fetchrow(self._dsn.sql(_READ), _digest(subject))
            return None if row is None else Stored(row["record"], row["revision"])

        return await self._run(work)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Write a record if the revision in the store is *expected*, 0 for none."""

        async def work(connection: Connection) -> Stored | Conflict:
            statement = _UPDATE if expected else _INSERT
            revision = await connection.fetchval(
                self._dsn.sql(statement), _digest(subject), record, expected
            )
            if revision is not None:
                return Stored(record, revision)
            stored = await connection.fetchrow(self._dsn.sql(_READ), _digest(subject))
            return Conflict(0 if stored is None else stored["revision"])

        return await self._run(work)

    async def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        opening, self._opening = self._opening, None
        if opening is not None:
            try:
                pool = await opening
            except (*DRIVER_ERRORS, Corrupt):
                return  # nothing was opened
            await pool.close()

    async def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            if self._opening is None or has_failed(self._opening):
                self._opening = asyncio.create_task(self._open(), name="arvo postgres opening")
            # Shielded: other callers wait for the same task.
            pool = await asyncio.shield(self._opening)
            async with pool.acquire() as connection:
                return await work(connection)
        except DRIVER_ERRORS as error:
            raise translate_error(error) from error

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        pool = await open_pool(self._dsn, POOL_MAX)
        try:
            async with pool.acquire() as connection:
                await prepare(connection, self._dsn)
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

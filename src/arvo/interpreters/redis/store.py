"""Store: Redis as a machine memory, with a hash for each subject."""

import asyncio
from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.results import Conflict
from arvo.interpreters.redis.connection import CALL_SECONDS_MAX, Connection
from arvo.interpreters.redis.errors import translate_errors
from arvo.interpreters.redis.index import RedisIndex
from arvo.interpreters.redis.reports import RedisReports

PREFIX: Final = "arvo"


@final
@define(eq=False)
class RedisMemory:
    """Records in Redis or Valkey, connected at first use.

    *url*: `redis://host:6379/0`, `rediss://…` with TLS. *prefix*: of its keys; two memories with
    the same prefix share their records. *has_index*: whether a pair keeps an index here, to list
    workflows and to store their histories.

    Which failures a record survives depends on the settings of the server: with `appendonly yes`
    and `appendfsync always` a power failure, with `everysec` all but the last second before it,
    without either no restart. Replication is asynchronous: `min-replicas-to-write` makes it
    unlikely, but not impossible, that a failover loses a record. Turn eviction off:
    `maxmemory-policy noeviction`.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    has_index: bool = field(default=True, kw_only=True)
    reports: RedisReports = field(init=False)
    _connection: Connection = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._connection = Connection(self.url)
        self.reports = RedisReports(self._connection, self.prefix)

    @property
    def index(self) -> RedisIndex | None:
        """The index on the same server."""
        return RedisIndex(self._connection, self.prefix) if self.has_index else None

    async def read(self, subject: str) -> Stored | None:
        """Return the value of a subject."""
        with translate_errors():
            async with asyncio.timeout(CALL_SECONDS_MAX):
                fields = ["record", "revision"]
                record, revision = await self._connection.redis.hmget(self._key(subject), fields)
        if record is None or revision is None:
            return None
        # The driver is set to decode nothing, which its types cannot express.
        assert isinstance(record, bytes)
        return Stored(record, int(revision))

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Store *record* if the stored revision is *expected*."""
        # A script, because the server runs it without another command in between.
        answer = await self._connection.run("write", [self._key(subject)], [record, expected])
        return Stored(record, answer) if answer > 0 else Conflict(-1 - answer)

    async def close(self) -> None:
        """Close the connections."""
        await self.reports.close()
        await self._connection.close()

    def _key(self, subject: str) -> str:
        return f"{self.prefix}:record:{subject}"

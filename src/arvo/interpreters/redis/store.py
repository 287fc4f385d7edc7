"""Memory: Redis as a store that compares and sets, a hash for each subject."""

from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports.backend import Conflict
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.redis.client import Client, reached

PREFIX: Final = "arvo"


@final
@define(eq=False)
class RedisMemory:
    """Records in Redis or Valkey, opened at first use.

    *url*: `redis://host:6379/0`, `rediss://…` with TLS. *prefix*: what its keys begin with; two
    that share it share what they hold.

    What was written survives what the server's settings say: with `appendonly yes` and `appendfsync
    always` the loss of power, with `everysec` all but its last second, without either nothing. Its
    replicas come behind: `min-replicas-to-write` makes a loss of the first unlikely, never
    impossible. Evict nothing: `maxmemory-policy noeviction`.
    """

    url: str = field(repr=False)
    prefix: str = PREFIX
    _client: Client = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._client = Client(self.url)

    async def read(self, subject: str) -> Stored | None:
        """Give what is held for a subject."""
        async with reached():
            found = await self._client.redis.hmget(self._key(subject), ["record", "revision"])
        record, revision = found
        if record is None or revision is None:
            return None
        # The driver decodes nothing, as it was told, and its types cannot know.
        assert isinstance(record, bytes)
        return Stored(record, int(revision))

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Hold *record* if the revision that is held is *expected*."""
        # In a script, for nobody comes in between.
        answer = await self._client.run("write", [self._key(subject)], [record, expected])
        return Stored(record, answer) if answer > 0 else Conflict(-1 - answer)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()

    def _key(self, subject: str) -> str:
        return f"{self.prefix}:record:{subject}"

"""Store: a JetStream key-value bucket as a machine memory, with an index beside it."""

from hashlib import blake2b
from typing import final

from attrs import define, field

from arvo.interpreters.nats.connection.connection import Connection
from arvo.interpreters.nats.connection.settings import Storage, check_settings
from arvo.interpreters.nats.reports import NatsReports
from arvo.interpreters.nats.storage.bucket import Bucket
from arvo.interpreters.nats.storage.index import NatsIndex
from arvo.interpreters.ports.machine_memory import Stored
from arvo.interpreters.ports.results import Conflict


@final
@define(eq=False)
class NatsMemory:
    """Records in a key-value bucket, for any number of processes.

    *servers*: `nats://host:4222`, or several separated by commas. *prefix*: the name of the bucket.
    *replicas*, *storage*, *bytes_max*: of the bucket that it creates; when it is full, `write`
    raises `Unavailable`. *has_index*: whether a pair keeps an index here, to list workflows and to
    store their histories.

    Keys are hashes of subjects. Reads go to the leader of the stream, never to a follower, which
    may lag behind. It connects at its first use, and at the first use after `close`.
    """

    servers: str = field(repr=False)
    prefix: str = field(default="arvo", kw_only=True)
    replicas: int = field(default=1, kw_only=True)
    storage: Storage = field(default="file", kw_only=True)
    bytes_max: int | None = field(default=None, kw_only=True)
    has_index: bool = field(default=True, kw_only=True)
    reports: NatsReports = field(init=False)
    _connection: Connection = field(init=False)
    _bucket: Bucket = field(init=False)
    _index: NatsIndex = field(init=False)

    def __attrs_post_init__(self) -> None:
        check_settings(
            servers=self.servers,
            prefix=self.prefix,
            replicas=self.replicas,
            storage=self.storage,
            bytes_max=self.bytes_max,
        )
        self._connection = Connection(self.servers)
        self.reports = NatsReports(self._connection, self.prefix)
        settings = self._connection, self.prefix, self.replicas, self.storage, self.bytes_max
        self._bucket = Bucket(*settings)
        self._index = NatsIndex(*settings)

    @property
    def bucket(self) -> str:
        """The name of the bucket's stream."""
        return self._bucket.stream

    @property
    def index(self) -> NatsIndex | None:
        """The index on the same servers."""
        return self._index if self.has_index else None

    async def read(self, subject: str) -> Stored | None:
        """Return the value of a subject."""
        return await self._bucket.read(_key(subject))

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        """Store *record* if the stored revision is *expected*."""
        return await self._bucket.write(_key(subject), record, expected)

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()


def _key(subject: str) -> str:
    # A subject may be longer than a key, and have any characters.
    return blake2b(subject.encode(errors="surrogatepass"), digest_size=20).hexdigest()

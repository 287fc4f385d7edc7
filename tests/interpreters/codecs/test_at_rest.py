"""At rest: no file, table or message of a backend with a codec shows what was planted."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from arvo import (
    Backend,
    EncodedMessage,
    InMemoryIndex,
    InMemoryMachineMemory,
    KafkaBroker,
    MemoryBroker,
    RabbitBroker,
    paired,
)
from arvo.codecs import Codec, encrypted
from tests import servers
from tests.interpreters.codecs import planted as planting
from tests.interpreters.codecs.planted import TIMEOUT, planted, shown
from tests.interpreters.postgres.schemas import schema_url

CODEC: Final = encrypted({"2026": bytes(range(32))})
# With and without the codec: the search has to find what it looks for where it is in the clear.
CODECS: Final = pytest.mark.parametrize("codec", [CODEC, None], ids=["encrypted", "clear"])


async def assert_hidden(
    backend: str | Backend, codec: Codec | None, find: Callable[[], Awaitable[bool]]
) -> None:
    """Plant the secret, and look for it while the backend is in use and after it was closed.

    *codec*: that of the backend.
    """
    async with planted(backend, codec if isinstance(backend, str) else None) as runtime:
        seen = await shown(runtime)
        while_running = await find()
    afterwards = await find()

    assert planting.SECRET in seen
    assert (while_running, afterwards) == (codec is None, codec is None)


async def is_in_files(folder: Path) -> bool:
    # In another process: closing a file in this one would release SQLite's locks.
    command = ["grep", "-rqaF", planting.SECRET, str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, check=False)
    assert done.returncode in (0, 1)
    return done.returncode == 0


@CODECS
def test_no_file_of_sqlite_shows_a_payload(tmp_path: Path, codec: Codec | None) -> None:
    """Backups and disks are read by more people than the system is."""
    url = f"sqlite:///{tmp_path}/arvo.db"

    asyncio.run(assert_hidden(url, codec, lambda: is_in_files(tmp_path)))


@CODECS
def test_no_table_of_postgres_shows_a_payload(tmp_path: Path, codec: Codec | None) -> None:
    """An operator of the database need not see what is in the orders."""
    url = schema_url(tmp_path)

    async def is_in_tables() -> bool:
        connection = await asyncpg.connect(servers.postgres_url())
        try:
            schema = url.rpartition("=")[2]
            listed = "select tablename from pg_tables where schemaname = $1"
            tables = [row[0] for row in await connection.fetch(listed, schema)]
            rows = [
                row for name in tables for row in await connection.fetch(f"table {schema}.{name}")
            ]
        finally:
            await connection.close()
        values = [value for row in rows for value in row.values()]
        assert "order-1" in values
        return any(planting.SECRET.encode() in _bytes(value) for value in values)

    asyncio.run(assert_hidden(url, codec, is_in_tables))


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@CODECS
def test_no_file_of_nats_shows_a_payload(codec: Codec | None) -> None:
    """Its streams and its key-value store are files, too."""
    server = servers.nats()
    server.start()
    try:
        asyncio.run(assert_hidden(server.url, codec, lambda: is_in_files(server.folder)))
    finally:
        server.stop()


@CODECS
def test_no_file_of_redis_shows_a_payload(codec: Codec | None) -> None:
    """The file to which it appends has every command."""
    server = servers.redis()
    server.start()
    try:
        asyncio.run(assert_hidden(server.url, codec, lambda: is_in_files(server.folder)))
    finally:
        server.stop()


@pytest.fixture
def own_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a secret of this test alone in a server that others use."""
    monkeypatch.setattr(planting, "SECRET", f"4929-{uuid4().hex}")


@CODECS
@pytest.mark.usefixtures("own_secret")
@pytest.mark.skipif(not servers.has_rabbit(), reason="no RabbitMQ on this machine")
def test_no_file_of_rabbitmq_shows_a_payload(codec: Codec | None) -> None:
    """Its message store has what was published, also for a while after it was settled."""
    server = servers.own_rabbit()
    broker = RabbitBroker(server.url, uuid4().hex)
    backend = paired(InMemoryMachineMemory(), broker, index=InMemoryIndex(), codec=codec)

    asyncio.run(assert_hidden(backend, codec, lambda: is_in_files(server.folder)))
    asyncio.run(broker.close())


@CODECS
@pytest.mark.usefixtures("own_secret")
def test_no_message_of_kafka_shows_a_payload(codec: Codec | None) -> None:
    """A topic has what was published until its retention ends."""
    address, prefix = servers.kafka_servers(), uuid4().hex
    broker = KafkaBroker(address, prefix)
    backend = paired(InMemoryMachineMemory(), broker, index=InMemoryIndex(), codec=codec)

    async def is_in_topics() -> bool:
        return await asyncio.to_thread(is_in_messages, address, prefix)

    asyncio.run(assert_hidden(backend, codec, is_in_topics))
    asyncio.run(broker.close())


def is_in_messages(address: str, prefix: str) -> bool:
    """Read all messages of the topics of a prefix: their values, keys and headers."""
    properties = {"bootstrap.servers": address, "group.id": uuid4().hex, "log_level": 0}
    consumer = Consumer({**properties, "enable.partition.eof": True})
    try:
        topics = consumer.list_topics(timeout=TIMEOUT).topics
        parts = [
            TopicPartition(name, part, OFFSET_BEGINNING)
            for name, topic in topics.items()
            if name.startswith(prefix)
            for part in topic.partitions
        ]
        consumer.assign(parts)
        found, left, read = False, len(parts), 0
        while left:
            message = consumer.poll(TIMEOUT)
            assert message is not None
            if message.error():
                left -= 1
                continue
            read += 1
            content = repr((message.value(), message.key(), message.headers()))
            found = found or planting.SECRET in content
    finally:
        consumer.close()
    assert read
    return found


class RecordingBroker:
    """The memory broker, which has all bodies that were published to it."""

    def __init__(self) -> None:
        self._inner = MemoryBroker()
        self.deliveries, self.dead_letter = self._inner.deliveries, self._inner.dead_letter
        self.ack, self.nack, self.depth = self._inner.ack, self._inner.nack, self._inner.depth
        self.published: list[EncodedMessage] = []

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        self.published += messages
        await self._inner.publish(messages)


def test_a_broker_gets_events_that_others_can_route_and_not_read() -> None:
    """A broker, and a program that watches it, need subject, type and addresses."""
    broker = RecordingBroker()
    backend = paired(InMemoryMachineMemory(), broker, index=InMemoryIndex(), codec=CODEC)

    async def scenario() -> None:
        async with planted(backend, None):
            pass

    asyncio.run(scenario())

    bodies = [message.body for message in broker.published]
    assert not any(planting.SECRET.encode() in body for body in bodies)
    assert any(b'"type":"com.refuse"' in body and b'"to":"com.refuse"' in body for body in bodies)


def test_messages_to_a_named_address_stay_clear() -> None:
    """A service in another language has no codec."""
    broker = RecordingBroker()
    backend = paired(InMemoryMachineMemory(), broker, codec=CODEC, clear=["com.refuse"])

    async def scenario() -> None:
        async with planted(backend, None):
            pass

    asyncio.run(scenario())

    clear = {it.queue for it in broker.published if planting.SECRET.encode() in it.body}
    assert clear == {"com.refuse"}

"""At rest: no file, table or message of a backend with a codec shows what was planted."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from arvo import EncodedMessage, InMemoryIndex, InMemoryMachineMemory, MemoryBroker, paired
from arvo.codecs import Codec, encrypted
from tests import servers
from tests.interpreters.codecs.planted import SECRET, planted, shown
from tests.interpreters.postgres.schemas import schema_url

CODEC: Final = encrypted({"2026": bytes(range(32))})
# With and without the codec: the search has to find what it looks for where it is in the clear.
CODECS: Final = pytest.mark.parametrize("codec", [CODEC, None], ids=["encrypted", "clear"])


async def assert_hidden(url: str, codec: Codec | None, find: Callable[[], Awaitable[bool]]) -> None:
    """Plant the secret, and look for it while the backend is in use and after it was closed."""
    async with planted(url, codec) as runtime:
        seen = await shown(runtime)
        while_running = await find()
    afterwards = await find()

    assert SECRET in seen
    assert (while_running, afterwards) == (codec is None, codec is None)


async def is_in_files(folder: Path) -> bool:
    # In another process: closing a file in this one would release SQLite's locks.
    command = ["grep", "-rqaF", SECRET, str(folder)]
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
        return any(SECRET.encode() in _bytes(value) for value in values)

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
    assert not any(SECRET.encode() in body for body in bodies)
    assert any(b'"type":"com.refuse"' in body and b'"to":"com.refuse"' in body for body in bodies)


def test_messages_to_a_named_address_stay_clear() -> None:
    """A service in another language has no codec."""
    broker = RecordingBroker()
    backend = paired(InMemoryMachineMemory(), broker, codec=CODEC, clear=["com.refuse"])

    async def scenario() -> None:
        async with planted(backend, None):
            pass

    asyncio.run(scenario())

    clear = {it.queue for it in broker.published if SECRET.encode() in it.body}
    assert clear == {"com.refuse"}

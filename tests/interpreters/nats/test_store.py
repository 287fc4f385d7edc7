"""Store: large records, crashes and other programs, on a real NATS server."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import pytest

from arvo import Conflict, Corrupt, Stored, Unavailable
from arvo.interpreters.nats import NatsMemory
from arvo.interpreters.nats.store import _key
from tests.interpreters.nats.plain_client import connected, stream
from tests.servers import nats, nats_url

LARGE_BYTES = 5 * 1024 * 1024


def noise(seed: int, size: int = LARGE_BYTES) -> bytes:
    """Return bytes that no compression makes smaller."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[NatsMemory]:
    opened = NatsMemory(**{"servers": nats_url(), "prefix": f"t{token_hex(6)}", **settings})
    try:
        yield opened
    finally:
        await opened.close()


async def write(memory: NatsMemory, record: bytes, expected: int) -> int:
    stored = await memory.write("one", record, expected)
    assert isinstance(stored, Stored)
    return stored.revision


async def stored_messages(memory: NatsMemory) -> int:
    """Count the messages in the stream of the bucket: a head, and its chunks."""
    messages: int = (await stream(memory.bucket))["state"]["messages"]
    return messages


def test_a_record_larger_than_a_message_is_stored_in_chunks() -> None:
    """Servers accept 1 MiB in a message by default; older values leave no chunks behind."""

    async def go() -> None:
        async with opened() as memory:
            revision = 0
            for seed in range(3):
                revision = await write(memory, noise(seed), revision)
                assert await memory.read("one") == Stored(noise(seed), revision)
                assert await stored_messages(memory) == 1 + 11
            await write(memory, b"small", revision)

            assert await stored_messages(memory) == 1

    asyncio.run(go())


def test_a_refused_write_leaves_no_chunks() -> None:
    """No head names its chunks, so no reader sees them."""

    async def go() -> None:
        async with opened() as memory:
            revision = await write(memory, noise(1), 0)
            assert await memory.write("one", noise(2), 0) == Conflict(revision)

            assert await stored_messages(memory) == 1 + 11
            assert await memory.read("one") == Stored(noise(1), revision)

    asyncio.run(go())


def test_chunks_that_a_crash_left_are_purged_by_the_next_large_write() -> None:
    """A process may die between chunks and head: the garbage is bounded and harmless."""

    async def go() -> None:
        async with opened() as memory:
            revision = await write(memory, noise(1), 0)
            async with connected() as client:
                lost = f"$KV.{memory.prefix}.parts.{_key('one')}.dead.0"
                await client.jetstream().publish(lost, b"of a crash")
            assert await memory.read("one") == Stored(noise(1), revision)

            await write(memory, noise(2), revision)

            assert await stored_messages(memory) == 1 + 11

    asyncio.run(go())


def test_of_concurrent_large_writes_one_wins_and_readers_see_whole_records() -> None:
    """Chunks of one record are never read as chunks of another."""

    async def go() -> None:
        async with opened() as memory:
            values = [noise(seed, 1024 * 1024) for seed in range(4)]

            async def write_once(value: bytes) -> None:
                while True:
                    stored = await memory.read("one")
                    assert stored is None or stored.record in values
                    expected = 0 if stored is None else stored.revision
                    if isinstance(await memory.write("one", value, expected), Stored):
                        return

            await asyncio.gather(*map(write_once, values))

            stored = await memory.read("one")
            assert stored is not None
            assert stored.record in values
            assert await stored_messages(memory) == 1 + 3

    asyncio.run(go())


def test_a_missing_chunk_raises() -> None:
    """Half a record is no record: an operator has to restore it."""

    async def go() -> None:
        async with opened() as memory:
            await write(memory, noise(1), 0)
            async with connected() as client:
                lost = f"$KV.{memory.prefix}.parts.{_key('one')}.*.3"
                await client.jetstream().purge_stream(memory.bucket, subject=lost)

            with pytest.raises(Corrupt, match="part"):
                await memory.read("one")

    asyncio.run(go())


def test_other_programs_can_read_and_delete_a_small_record() -> None:
    """It is an ordinary bucket; a deleted key has no value and can be written again."""

    async def go() -> None:
        async with opened() as memory:
            revision = await write(memory, b'{"a": 1}', 0)
            async with connected() as client:
                bucket = await client.jetstream().key_value(memory.prefix)
                assert (await bucket.get(_key("one"))).value == b'{"a": 1}'
                await bucket.delete(_key("one"))

            assert await memory.read("one") is None
            assert await memory.write("one", b"x", revision) == Conflict(0)
            again = await write(memory, b"again", 0)
            assert again > revision
            assert await memory.read("one") == Stored(b"again", again)

    asyncio.run(go())


def test_records_survive_a_restart_of_the_server() -> None:
    """While it is stopped the memory is unavailable; after that it has all records."""
    server = nats()
    server.start()

    async def go() -> None:
        async with opened(servers=server.url) as memory:
            revision = await write(memory, b"stored", 0)
            await asyncio.to_thread(server.stop)
            with pytest.raises(Unavailable):
                await memory.read("one")
            await asyncio.to_thread(server.start)

            assert await memory.read("one") == Stored(b"stored", revision)

    try:
        asyncio.run(go())
    finally:
        server.stop()


def test_a_full_bucket_is_unavailable() -> None:
    """An operator can make room; no older record is dropped for a new one."""

    async def go() -> None:
        async with opened(bytes_max=8 * 1024) as memory:
            revision = await write(memory, b"x" * 4_000, 0)
            with pytest.raises(Unavailable, match="maximum bytes"):
                await memory.write("two", noise(1, 6_000), 0)

            assert await memory.read("one") == Stored(b"x" * 4_000, revision)

    asyncio.run(go())

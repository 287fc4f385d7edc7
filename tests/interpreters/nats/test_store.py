"""The memory on a real server: large values, what a crash leaves behind, and what others see."""

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
from tests.interpreters.nats.outsider import connected, stream
from tests.servers import nats, nats_url

LARGE_BYTES = 5 * 1024 * 1024


def noise(seed: int, size: int = LARGE_BYTES) -> bytes:
    """Bytes that no packing makes smaller."""
    return random.Random(seed).randbytes(size)  # noqa: S311 - no secret


@asynccontextmanager
async def opened(**settings: Any) -> AsyncIterator[NatsMemory]:
    opened = NatsMemory(**{"servers": nats_url(), "prefix": f"t{token_hex(6)}", **settings})
    try:
        yield opened
    finally:
        await opened.close()


async def written(memory: NatsMemory, record: bytes, expected: int) -> int:
    stored = await memory.write("one", record, expected)
    assert isinstance(stored, Stored)
    return stored.revision


async def held(memory: NatsMemory) -> int:
    """How many messages the bucket's stream holds: a head, and its parts."""
    messages: int = (await stream(memory.bucket))["state"]["messages"]
    return messages


def test_a_value_larger_than_a_message_is_held_in_parts() -> None:
    """Servers take 1 MiB at once by default; of older values nothing stays."""

    async def go() -> None:
        async with opened() as memory:
            revision = 0
            for seed in range(3):
                revision = await written(memory, noise(seed), revision)
                assert await memory.read("one") == Stored(noise(seed), revision)
                assert await held(memory) == 1 + 11
            await written(memory, b"small", revision)

            assert await held(memory) == 1

    asyncio.run(go())


def test_who_writes_a_large_value_on_an_old_revision_leaves_nothing() -> None:
    """The parts lie where nobody looks, until the head says so."""

    async def go() -> None:
        async with opened() as memory:
            revision = await written(memory, noise(1), 0)
            assert await memory.write("one", noise(2), 0) == Conflict(revision)

            assert await held(memory) == 1 + 11
            assert await memory.read("one") == Stored(noise(1), revision)

    asyncio.run(go())


def test_what_a_crash_left_goes_with_the_next_large_value() -> None:
    """A process that died between parts and head: garbage is bounded, and harms nobody."""

    async def go() -> None:
        async with opened() as memory:
            revision = await written(memory, noise(1), 0)
            async with connected() as client:
                lost = f"$KV.{memory.prefix}.parts.{_key('one')}.dead.0"
                await client.jetstream().publish(lost, b"of a crash")
            assert await memory.read("one") == Stored(noise(1), revision)

            await written(memory, noise(2), revision)

            assert await held(memory) == 1 + 11

    asyncio.run(go())


def test_of_rivals_with_large_values_one_wins_and_readers_see_whole_ones() -> None:
    """Parts of one are never taken for parts of another."""

    async def go() -> None:
        async with opened() as memory:
            values = [noise(seed, 1024 * 1024) for seed in range(4)]

            async def rival(value: bytes) -> None:
                while True:
                    found = await memory.read("one")
                    assert found is None or found.record in values
                    expected = 0 if found is None else found.revision
                    if isinstance(await memory.write("one", value, expected), Stored):
                        return

            await asyncio.gather(*map(rival, values))

            found = await memory.read("one")
            assert found is not None
            assert found.record in values
            assert await held(memory) == 1 + 3

    asyncio.run(go())


def test_a_missing_part_is_told_and_not_papered_over() -> None:
    """Half a record is none: stop, and call a person."""

    async def go() -> None:
        async with opened() as memory:
            await written(memory, noise(1), 0)
            async with connected() as client:
                lost = f"$KV.{memory.prefix}.parts.{_key('one')}.*.3"
                await client.jetstream().purge_stream(memory.bucket, subject=lost)

            with pytest.raises(Corrupt, match="part"):
                await memory.read("one")

    asyncio.run(go())


def test_others_read_a_small_value_and_may_delete_it() -> None:
    """A bucket like any other; what was deleted is nothing, and can be written again."""

    async def go() -> None:
        async with opened() as memory:
            revision = await written(memory, b'{"a": 1}', 0)
            async with connected() as client:
                bucket = await client.jetstream().key_value(memory.prefix)
                assert (await bucket.get(_key("one"))).value == b'{"a": 1}'
                await bucket.delete(_key("one"))

            assert await memory.read("one") is None
            assert await memory.write("one", b"x", revision) == Conflict(0)
            again = await written(memory, b"again", 0)
            assert again > revision
            assert await memory.read("one") == Stored(b"again", again)

    asyncio.run(go())


def test_what_was_written_outlives_the_server() -> None:
    """While it is gone the memory is unavailable; then it is there again, with all it held."""
    server = nats()
    server.start()

    async def go() -> None:
        async with opened(servers=server.url) as memory:
            revision = await written(memory, b"kept", 0)
            await asyncio.to_thread(server.stop)
            with pytest.raises(Unavailable):
                await memory.read("one")
            await asyncio.to_thread(server.start)

            assert await memory.read("one") == Stored(b"kept", revision)

    try:
        asyncio.run(go())
    finally:
        server.stop()


def test_a_full_bucket_is_unavailable() -> None:
    """An operator can make room; nothing older makes way by itself."""

    async def go() -> None:
        async with opened(bytes_max=8 * 1024) as memory:
            revision = await written(memory, b"x" * 4_000, 0)
            with pytest.raises(Unavailable, match="maximum bytes"):
                await memory.write("two", noise(1, 6_000), 0)

            assert await memory.read("one") == Stored(b"x" * 4_000, revision)

    asyncio.run(go())

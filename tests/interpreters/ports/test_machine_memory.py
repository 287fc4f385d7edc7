"""Machine memory: a store with compare-and-set."""

import asyncio

from arvo import Conflict, InMemoryMachineMemory, Stored


def test_a_write_succeeds_only_on_the_expected_revision() -> None:
    """B11: a store must not overwrite a newer value, nor drop a write without an error."""

    async def go() -> list[object]:
        memory = InMemoryMachineMemory()
        return [
            await memory.read("s"),
            await memory.write("s", b"stale", 1),
            await memory.write("s", b"one", 0),
            await memory.write("s", b"another", 0),
            await memory.write("s", b"two", 1),
            await memory.read("s"),
        ]

    assert asyncio.run(go()) == [
        None,
        Conflict(0),
        Stored(b"one", 1),
        Conflict(1),
        Stored(b"two", 2),
        Stored(b"two", 2),
    ]

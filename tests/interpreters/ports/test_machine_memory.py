"""Machine memory: a store that can compare and set."""

import asyncio

from arvo import Conflict, InMemoryMachineMemory, Stored


def test_a_write_names_what_it_was_decided_on() -> None:
    """B11: the reference writes over, or does not write at all, and says nothing."""

    async def go() -> list[object]:
        memory = InMemoryMachineMemory()
        return [
            await memory.read("s"),
            await memory.write("s", b"late", 1),
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

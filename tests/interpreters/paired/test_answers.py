"""Answers: a pair keeps the answers to signals for callers in any process."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define, evolve, field

from arvo import (
    Client,
    Conflict,
    Event,
    InMemoryMachineMemory,
    MemoryBroker,
    Runtime,
    System,
    Unavailable,
    paired,
)
from arvo.interpreters.paired.documents import store as documents
from arvo.interpreters.paired.documents.store import AnswerStore
from arvo.interpreters.ports.backend import RetainsOutputs
from arvo.interpreters.ports.machine_memory import Stored
from tests.interpreters.within import within
from tests.processes.asks import Counted, Open, Vote, count_votes, poll, vote

system = System([count_votes])
TIME = "2026-01-02T03:04:05.000+00:00"


def begin(votes: int) -> Event[Open]:
    return poll["1.0.0"].init(Open(votes), source="com.test.asks", workflow_id="poll-1")


def answer(key: str, votes: int = 1, by: str = "ann") -> Event[Counted]:
    return vote["1.0.0"].emits(
        Counted(by, votes),
        source=poll.type,
        subject=begin(1).subject,
        id=f"answer {key}",
        parentid=key,
        to="arvo.client",
        time=TIME,
    )


def test_a_caller_elsewhere_finds_an_answer_that_many_turns_have_followed() -> None:
    """The process that handles the signals has long forgotten their output."""
    memory, broker = InMemoryMachineMemory(), MemoryBroker()

    async def go() -> list[Any]:
        async with (
            Runtime(system, paired(memory, broker)) as runtime,
            Client(system, paired(memory, broker)) as client,
        ):
            await runtime.send(begin(40))
            await runtime.drain(timeout=60)
            for number in range(39):
                await runtime.signal("poll-1", Vote(str(number)), id=f"vote-{number}", time=TIME)
            await runtime.drain(timeout=60)
            return [
                (await client.ask("poll-1", Vote(str(n)), id=f"vote-{n}", time=TIME)).data
                for n in (0, 20, 38)
            ]

    assert within(go()) == [Counted("0", 1), Counted("20", 21), Counted("38", 39)]


@define
class DownOnce:
    """A memory that cannot be reached when the first answer is to be stored."""

    memory: InMemoryMachineMemory = field(factory=InMemoryMachineMemory)
    is_down: bool = True
    # What a caller elsewhere finds at that moment.
    found: Sequence[Event[Any]] | None = None

    async def read(self, subject: str) -> Stored | None:
        return await self.memory.read(subject)

    async def write(self, subject: str, record: bytes, expected: int) -> Stored | Conflict:
        if self.is_down and subject.startswith("(answers"):
            self.is_down = False
            elsewhere = paired(self.memory, MemoryBroker())
            assert isinstance(elsewhere, RetainsOutputs)
            self.found = await elsewhere.answers(begin(1).subject, "vote-0")
            raise Unavailable("the memory is down")
        return await self.memory.write(subject, record, expected)


def test_an_answer_is_not_lost_with_the_write_that_stores_it() -> None:
    """The turn is written before: a caller finds its answer there, and it is stored once more."""
    memory, broker = DownOnce(), MemoryBroker()

    async def go() -> Event[Any]:
        async with (
            Runtime(system, paired(memory, broker)) as runtime,
            Client(system, paired(memory, broker)) as client,
        ):
            await runtime.send(begin(2))
            await runtime.drain(timeout=60)
            await client.signal("poll-1", Vote("ann"), id="vote-0", time=TIME)
            await runtime.drain(timeout=60)
            await client.signal("poll-1", Vote("bob"), id="vote-1", time=TIME)
            await runtime.drain(timeout=60)
            return await client.ask("poll-1", Vote("ann"), id="vote-0", time=TIME)

    later = within(go())

    assert later.data == Counted("ann", 1)
    assert memory.found is not None
    assert [found.id for found in memory.found] == [later.id]


def test_the_same_answer_is_stored_once() -> None:
    """A redelivery sends the output of its turn again."""
    store = AnswerStore(InMemoryMachineMemory())

    async def go() -> tuple[Event[Any], ...]:
        await store.add([answer("vote-0")])
        await store.add([answer("vote-0"), evolve(answer("vote-0", 2), id="another")])
        return await store.find(begin(1).subject, "vote-0")

    assert [event.id for event in within(go())] == ["answer vote-0", "another"]


@pytest.mark.parametrize(
    ("limit", "size"), [("ANSWERS_MAX", 3), ("ANSWERS_BYTES_MAX", 3 * len(answer("9").to_bytes()))]
)
def test_the_newest_answers_of_a_page_stay(
    monkeypatch: pytest.MonkeyPatch, limit: str, size: int
) -> None:
    """A workflow that answers for ever does not grow; a large answer stays alone."""
    monkeypatch.setattr(documents, "ANSWER_PAGES", 1)
    monkeypatch.setattr(documents, limit, size)
    store, subject = AnswerStore(InMemoryMachineMemory()), begin(1).subject

    async def go() -> tuple[list[int], int]:
        await store.add(answer(str(number)) for number in range(6))
        sizes = [len(await store.find(subject, str(number))) for number in range(6)]
        monkeypatch.setattr(documents, "ANSWERS_BYTES_MAX", 1)
        await store.add([answer("large")])
        return sizes, len(await store.find(subject, "large"))

    assert within(go()) == ([0, 0, 0, 1, 1, 1], 1)

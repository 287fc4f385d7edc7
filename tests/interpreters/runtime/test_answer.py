"""Answer: what a workflow came to is found wherever it was carried, and however often one asks."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import evolve

from arvo import (
    Backend,
    Corrupt,
    Event,
    Fail,
    InMemoryMachineMemory,
    MemoryBackend,
    MemoryBroker,
    NoReply,
    Runtime,
    System,
    Turn,
    Unavailable,
    paired,
)
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.interpreters.ports.backend import REPLY_QUEUE
from arvo.interpreters.runtime.answer import look
from arvo.interpreters.runtime.request import Request
from arvo.interpreters.sqlite import SqliteBackend
from tests.shop import OrderFulfilled, placing, shop, workflow

T = TypeVar("T")
# Gives a process's own view of one store.
Backends = Callable[[], Backend]


def within(work: Coroutine[Any, Any, T], seconds: float = 10.0) -> T:
    async def go() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(go())


@pytest.fixture(params=["sqlite", "pair"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Backends:
    """Choose a store that several processes share."""
    if request.param == "sqlite":
        return lambda: SqliteBackend(f"{tmp_path}/arvo.db")
    memory, broker = InMemoryMachineMemory(), MemoryBroker()
    return lambda: paired(memory, broker)


def asking_only(system: System, backend: Backend) -> Runtime:
    """Make a runtime that never carries an answer home itself, as one whose turn it never is."""
    runtime = Runtime(system, backend)
    del runtime._lanes[REPLY_QUEUE]
    return runtime


def test_an_answer_that_another_process_carried_home_is_found(shared: Backends) -> None:
    """Of several on one backend, it goes to whichever takes it."""

    async def go() -> list[Event[Any]]:
        async with asking_only(shop, shared()) as asking, Runtime(shop, shared()):
            asked = (asking.request(placing(f"i{n}"), timeout=8) for n in range(5))
            return await asyncio.gather(*asked)

    answers = within(go())

    assert [each.parentid for each in answers] == [f"i{n}" for n in range(5)]
    assert all(isinstance(each.data, OrderFulfilled) for each in answers)


def test_a_failure_that_another_process_carried_home_is_found(shared: Backends) -> None:
    """A system error is an answer."""

    def fails(turn: Turn[Any]) -> Fail:
        return Fail("Sold out")

    async def go() -> Event[Any]:
        system = System([workflow(fails)])
        async with asking_only(system, shared()) as asking, Runtime(system, shared()):
            return await asking.request(placing("i1"), timeout=8)

    answer = within(go())

    assert (answer.type, answer.parentid) == ("sys.arvo.orc.order.fulfil.error", "i1")


@pytest.mark.parametrize("number", [1, 2])
def test_whoever_asks_again_is_given_the_same_answer(shared: Backends, number: int) -> None:
    """A client that lost its connection sends its event again, perhaps to another process."""

    async def go() -> tuple[list[Event[Any]], Record | None]:
        placed = placing("i1")
        async with Runtime(shop, shared()) as first, Runtime(shop, shared()) as second:
            one = await first.request(placed, timeout=8)
            asked = first if number == 1 else second
            two = await asked.request(evolve(placed), timeout=8)
            await first.drain(timeout=8)
            return [one, two], await first.record(placed.subject)

    (one, two), record = within(go())

    assert (one.id, one.raw) == (two.id, two.raw)
    assert record is not None
    assert (record.status, record.revision) == ("done", 3)


class Around:
    """A store in memory, of which something is changed."""

    def __init__(self, store: MemoryBackend, **changed: Any) -> None:
        self._store, self._changed = store, changed

    def __getattr__(self, name: str) -> Any:
        return self._changed.get(name) or getattr(self._store, name)


def asked_twice(backend: Any, why: str) -> None:
    """Ask by one event twice, the second time in vain."""

    async def go() -> None:
        async with Runtime(shop, backend) as runtime:
            placed = placing("i1")
            await runtime.request(placed, timeout=8)
            with pytest.raises(NoReply, match=why):
                await runtime.request(placed, timeout=8)

    within(go())


def test_an_answer_that_is_not_remembered_any_more_is_no_answer() -> None:
    """Histories may be dropped early; to wait longer would not help."""

    async def history(subject: str, **_: Any) -> tuple[HistoryEntry, ...]:
        return ()

    asked_twice(Around(MemoryBackend(), history=history), "by what is not remembered")


def test_an_event_that_was_consumed_by_a_workflow_that_is_forgotten_has_no_answer() -> None:
    """The inbox remembers longer than the record; to wait would not help here either."""
    store = MemoryBackend()

    async def load(subject: str) -> Record | None:
        record = await store.load(subject)
        return None if record is not None and record.status == "done" else record

    asked_twice(Around(store, load=load), "consumed before")


@pytest.mark.parametrize("error", [Unavailable("restarting"), Corrupt("the file is damaged")])
def test_a_store_that_cannot_be_looked_into_is_looked_into_again_or_told_of(
    error: Exception,
) -> None:
    """An outage passes; damage does not."""
    store, errors = MemoryBackend(), [error]

    async def load(subject: str) -> Record | None:
        if errors:
            raise errors.pop()
        return await store.load(subject)

    async def go() -> None:
        backend: Any = Around(store, load=load)
        async with Runtime(shop, store) as runtime:
            answer = await runtime.request(placing("i1"), timeout=8)
            request = Request(placing("i1"), asyncio.get_running_loop().create_future())
            await look(backend, request)
            assert (await request.answer).id == answer.id

    if isinstance(error, Corrupt):
        with pytest.raises(Corrupt, match="damaged"):
            within(go())
    else:
        within(go())

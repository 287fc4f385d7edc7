"""Answers: a workflow's answer is found whichever process delivers it, and on every request."""

import asyncio
from collections.abc import Callable
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
from arvo.interpreters.ports.messages import REPLY_QUEUE
from arvo.interpreters.runtime.requests import PendingReply, poll_for_answer
from arvo.interpreters.sqlite import SqliteBackend
from tests.interpreters.runtime.running import Replaced, within
from tests.shop import OrderFulfilled, make_workflow, order_request, shop

T = TypeVar("T")
# Makes the backend of one more process on the same store.
Backends = Callable[[], Backend]


@pytest.fixture(params=["sqlite", "pair"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Backends:
    """Choose a store that several processes share."""
    if request.param == "sqlite":
        return lambda: SqliteBackend(f"{tmp_path}/arvo.db")
    memory, broker = InMemoryMachineMemory(), MemoryBroker()
    return lambda: paired(memory, broker)


def without_replies(system: System, backend: Backend) -> Runtime:
    """Make a runtime that never delivers an answer itself, as if another process were always
    faster.
    """
    runtime = Runtime(system, backend)
    del runtime._queues[REPLY_QUEUE]
    return runtime


def test_an_answer_that_another_process_delivers_is_found(shared: Backends) -> None:
    """Of several processes on one backend, any may receive it."""

    async def go() -> list[Event[Any]]:
        async with without_replies(shop, shared()) as client, Runtime(shop, shared()):
            requests = (client.request(order_request(f"i{n}"), timeout=60) for n in range(5))
            return await asyncio.gather(*requests)

    answers = within(go())

    assert [answer.parentid for answer in answers] == [f"i{n}" for n in range(5)]
    assert all(isinstance(answer.data, OrderFulfilled) for answer in answers)


def test_a_failure_that_another_process_delivers_is_found(shared: Backends) -> None:
    """A system error is an answer."""

    def fails(turn: Turn[Any]) -> Fail:
        return Fail("Sold out")

    async def go() -> Event[Any]:
        system = System([make_workflow(fails)])
        async with without_replies(system, shared()) as client, Runtime(system, shared()):
            return await client.request(order_request("i1"), timeout=60)

    answer = within(go())

    assert (answer.type, answer.parentid) == ("sys.arvo.orc.order.fulfil.error", "i1")


@pytest.mark.parametrize("number", [1, 2])
def test_a_repeated_request_returns_the_same_answer(shared: Backends, number: int) -> None:
    """A client that lost its connection sends its event again, perhaps to another process."""

    async def go() -> tuple[list[Event[Any]], Record | None]:
        placed = order_request("i1")
        async with Runtime(shop, shared()) as first, Runtime(shop, shared()) as second:
            one = await first.request(placed, timeout=60)
            runtime = first if number == 1 else second
            two = await runtime.request(evolve(placed), timeout=60)
            await first.drain(timeout=60)
            return [one, two], await first.record(placed.subject)

    (one, two), record = within(go())

    assert (one.id, one.raw) == (two.id, two.raw)
    assert record is not None
    assert (record.status, record.revision) == ("done", 3)


def request_twice(backend: Any, reason: str) -> None:
    """Request the same event twice; the second request gets no reply."""

    async def go() -> None:
        async with Runtime(shop, backend) as runtime:
            placed = order_request("i1")
            await runtime.request(placed, timeout=60)
            with pytest.raises(NoReply, match=reason):
                await runtime.request(placed, timeout=60)

    within(go())


def test_an_answer_that_is_no_longer_stored_is_reported() -> None:
    """A history may drop its oldest entries; to wait longer would not help."""

    async def history(subject: str, **_: Any) -> tuple[HistoryEntry, ...]:
        return ()

    request_twice(Replaced(MemoryBackend(), history=history), "the answer is no longer stored")


def test_an_event_of_a_workflow_that_is_no_longer_stored_has_no_answer() -> None:
    """The consumed events may be stored longer than the record; to wait would not help."""
    store = MemoryBackend()

    async def load(subject: str) -> Record | None:
        record = await store.load(subject)
        return None if record is not None and record.status == "done" else record

    request_twice(Replaced(store, load=load), "consumed before")


@pytest.mark.parametrize("error", [Unavailable("restarting"), Corrupt("the file is damaged")])
def test_a_request_outlasts_an_outage_and_reports_damage(
    error: Exception,
) -> None:
    """An outage passes; damage does not."""
    store, errors = MemoryBackend(), [error]

    async def load(subject: str) -> Record | None:
        if errors:
            raise errors.pop()
        return await store.load(subject)

    async def go() -> None:
        backend: Any = Replaced(store, load=load)
        async with Runtime(shop, store) as runtime:
            answer = await runtime.request(order_request("i1"), timeout=60)
            pending = PendingReply(order_request("i1"), asyncio.get_running_loop().create_future())
            await poll_for_answer(backend, pending)
            assert (await pending.answer).id == answer.id

    if isinstance(error, Corrupt):
        with pytest.raises(Corrupt, match="damaged"):
            within(go())
    else:
        within(go())

"""Interruption: an effect is awaited until a cancellation of its workflow is pending."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field

from arvo import Backend, Corrupt, Event, MemoryBackend, Unavailable
from arvo.engine.step.route import ToHandler
from arvo.interpreters.ports.messages import Delivery, Message
from arvo.interpreters.ports.results import CancellationPending
from arvo.interpreters.turns.interruption import Interruption
from tests.interpreters.runtime.running import Replaced, within
from tests.shop import order, order_request

BEGIN = order_request()
STOP: Event[Any] = order["1.0.0"].cancel("enough", source="ops", subject=BEGIN.subject)
NEVER_SECONDS = 3600.0


@define(eq=False)
class Work:
    """An effect that runs until it is let go, or raises its *error*."""

    error: Exception | None = None
    started: asyncio.Event = field(factory=asyncio.Event)
    go: asyncio.Event = field(factory=asyncio.Event)
    was_cancelled: bool = False

    async def __call__(self) -> str:
        self.started.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return "done"


def watch(
    answers: Callable[[], Event[Any] | None],
    ask_seconds: float = NEVER_SECONDS,
    *,
    is_possible: bool = True,
) -> Interruption:
    """Make an interruption whose backend returns these answers."""

    async def pending_cancellation(_: Delivery) -> Event[Any] | None:
        return answers()

    delivery = Delivery(Message(BEGIN, ToHandler("arvo.orc.order.fulfil", BEGIN.subject)), 1)
    backend: Backend = Replaced(MemoryBackend(), pending_cancellation=pending_cancellation)
    return Interruption(backend, delivery, is_possible, ask_seconds)


def test_the_result_is_returned_while_no_cancellation_is_pending() -> None:
    """The usual case: it asks once."""

    async def go() -> tuple[object, int]:
        work, asked = Work(), list[None]()

        def answers() -> None:
            asked.append(None)

        work.go.set()
        return await watch(answers).guard(work), len(asked)

    assert within(go()) == ("done", 1)


def test_nothing_starts_once_a_cancellation_is_pending() -> None:
    """The effect would be of no use."""

    async def go() -> tuple[object, bool]:
        work = Work()
        return await watch(lambda: STOP).guard(work), work.started.is_set()

    assert within(go()) == (CancellationPending(STOP), False)


def test_a_cancellation_that_arrives_here_interrupts_at_once() -> None:
    """Without waiting until it is time to ask."""

    async def go() -> tuple[object, bool]:
        work, answers = Work(), list[Event[Any]]()
        interruption = watch(lambda: answers[0] if answers else None)
        guarded = asyncio.ensure_future(interruption.guard(work))
        await work.started.wait()
        answers.append(STOP)
        interruption.delivery.progress.on_cancellation()
        return await guarded, work.was_cancelled

    assert within(go()) == (CancellationPending(STOP), True)


def test_a_cancellation_that_another_process_accepts_is_asked_for() -> None:
    """Again and again, also after an outage of the backend."""
    asked: list[None] = []

    def answers() -> Event[Any] | None:
        asked.append(None)
        if len(asked) == 2:
            raise Unavailable("down")
        return STOP if len(asked) == 4 else None

    async def go() -> tuple[object, bool]:
        work = Work()
        return await watch(answers, 0.001).guard(work), work.was_cancelled

    assert within(go()) == (CancellationPending(STOP), True)
    assert len(asked) == 4


def test_a_notification_without_a_cancellation_interrupts_nothing() -> None:
    """The cancellation was a duplicate."""

    async def go() -> object:
        work = Work()
        interruption = watch(lambda: None)
        guarded = asyncio.ensure_future(interruption.guard(work))
        await work.started.wait()
        interruption.delivery.progress.on_cancellation()
        await asyncio.sleep(0)
        work.go.set()
        return await guarded

    assert within(go()) == "done"


def test_the_error_of_the_work_is_raised() -> None:
    """As without an interruption."""

    async def go() -> None:
        work = Work(KeyError("no"))
        work.go.set()
        await watch(lambda: None).guard(work)

    with pytest.raises(KeyError, match="no"):
        within(go())


def test_a_corrupt_backend_ends_the_work() -> None:
    """An operator must act."""
    asked: list[None] = []
    work = Work()

    def answers() -> None:
        asked.append(None)
        if len(asked) > 1:
            raise Corrupt("the file is gone")

    with pytest.raises(Corrupt, match="gone"):
        within(watch(answers, 0.001).guard(work))
    assert work.was_cancelled


def test_a_worker_that_stops_ends_the_work() -> None:
    """The caller is cancelled, and waits for the `finally` blocks of the effect."""

    async def go() -> bool:
        work = Work()
        guarded = asyncio.ensure_future(watch(lambda: None).guard(work))
        await work.started.wait()
        guarded.cancel()
        with pytest.raises(asyncio.CancelledError):
            await guarded
        return work.was_cancelled

    assert within(go())


def test_the_turn_of_a_cancellation_is_not_interrupted() -> None:
    """It does not even ask."""

    def answers() -> None:
        raise AssertionError("asked")

    async def go() -> object:
        work = Work()
        work.go.set()
        return await watch(answers, is_possible=False).guard(work)

    assert within(go()) == "done"

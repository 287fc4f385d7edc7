"""Timers: they fire on the clock of the machine, and on one that the test sets."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import attrs
import pytest

from arvo import (
    Cancel,
    Commands,
    Complete,
    Emit,
    Fail,
    MemoryBackend,
    Retry,
    Runtime,
    Schedule,
    Stats,
    System,
    TimerFired,
    Turn,
)
from arvo.interpreters.delivery.clock import whole_millisecond
from tests.interpreters.until import until
from tests.interpreters.within import within
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    make_workflow,
    order_request,
    payment_handler,
)

T = TypeVar("T")


def timer_system(seconds: float, *others: Schedule | Emit) -> System:
    """Make a workflow that sets a timer, returns *others*, and completes when a timer fires."""

    def function(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Schedule("end", after=seconds), *others
            case TimerFired(name=name):
                return Complete(OrderFulfilled(name))
            case CardCharged():
                return Cancel("end")
            case _:
                return Fail("unexpected event")

    answers = payment_handler(
        lambda event: Emit(CardCharged("r")) if event.data.amount else Fail("no")
    )
    return System([make_workflow(function), answers])


@attrs.define
class Clock:
    """A clock that the test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


def run_runtime(
    system: System, work: Callable[[Runtime], Awaitable[T]], **options: Any
) -> tuple[T, Stats]:
    async def go() -> tuple[T, Stats]:
        async with Runtime(system, **options) as runtime:
            return await work(runtime), await runtime.drain()

    return within(go())


@pytest.mark.promise("I7")
def test_a_timer_fires_when_it_is_due() -> None:
    """And not before, on the clock of the machine (promise I7)."""

    async def work(runtime: Runtime) -> tuple[object, timedelta]:
        # A timer is due a number of whole milliseconds after the step that sets it.
        began = whole_millisecond(datetime.now(UTC))
        answer = await runtime.request(order_request(), timeout=60)
        return answer.data, datetime.now(UTC) - began

    (answer, took), stats = run_runtime(timer_system(0.05), work)

    assert answer == OrderFulfilled("end")
    assert took >= timedelta(seconds=0.05)
    assert stats == Stats(handled=2, answered=1)


def test_a_timer_that_was_cancelled_does_not_fire() -> None:
    """The reply came first. Of two timers that are due, only the other one fires."""
    clock = Clock()
    system = timer_system(0.05, Schedule("later", after=0.1), Emit(ChargeCard("o1", 1.0)))

    async def work(runtime: Runtime) -> object:
        requesting = asyncio.create_task(runtime.request(order_request(), timeout=60))
        await until(lambda: runtime.stats().handled == 3)
        clock.now += timedelta(seconds=1)
        return (await requesting).data

    answer, stats = run_runtime(system, work, backend=MemoryBackend(now=clock), now=clock)

    assert answer == OrderFulfilled("later")
    assert stats == Stats(handled=4, answered=1)


def test_the_timer_of_a_workflow_that_failed_is_no_dead_letter() -> None:
    """The workflow has ended, so no event is lost."""
    clock = Clock()
    backend = MemoryBackend(now=clock)
    system = timer_system(0.05, Emit(ChargeCard("o1", 0.0)))

    async def no_timer_is_pending() -> bool:
        return (await backend.depth()).timers == 0

    async def work(runtime: Runtime) -> tuple[Any, ...]:
        await runtime.request(order_request(), timeout=60)
        clock.now += timedelta(seconds=1)
        await until(no_timer_is_pending)
        await runtime.drain()
        return await runtime.dead_letters()

    dead_letters, stats = run_runtime(system, work, backend=backend, now=clock)

    assert dead_letters == ()
    assert (stats.failed, stats.dead_lettered) == (2, 0)


def test_a_system_is_idle_while_timers_are_pending() -> None:
    """A drain must not wait until tomorrow."""

    async def work(runtime: Runtime) -> list[str]:
        await runtime.send(order_request())
        await runtime.drain()
        record = await runtime.record(order_request().subject)
        return [] if record is None else list(record.timers)

    timers, stats = run_runtime(timer_system(3600), work)

    assert timers == ["end"]
    assert stats == Stats(handled=1)


def test_timers_fire_after_the_backend_is_opened_again() -> None:
    """Also timers that were due while no process ran."""

    clock = Clock()

    async def go() -> Stats:
        backend, system = MemoryBackend(now=clock), timer_system(0.05)
        async with Runtime(system, backend, now=clock) as runtime:
            await runtime.send(order_request())
            await runtime.drain()
        clock.now += timedelta(seconds=1)
        async with Runtime(system, backend, now=clock) as runtime:
            await until(lambda: runtime.stats().handled > 0)
            return await runtime.drain()

    assert within(go()) == Stats(handled=1, unclaimed=1)


@pytest.mark.promise("I7")
def test_a_timer_is_neither_early_nor_lost_when_the_clock_is_set_back() -> None:
    """The store delivered it by its own clock; it is no dead letter for that (promise I7)."""
    clock = Clock()
    two_attempts = Retry(attempts=2, delay=0.0)

    async def go() -> tuple[str, str, Stats]:
        backend = MemoryBackend(now=lambda: datetime.now(UTC) + timedelta(days=36500))
        system = timer_system(0.01)
        async with Runtime(system, backend, now=clock, retry=two_attempts) as runtime:
            await runtime.send(order_request())
            await until(lambda: runtime.stats().retried >= 10)
            early = await runtime.record(order_request().subject)
            clock.now += timedelta(seconds=1)
            stats = await runtime.drain()
            late = await runtime.record(order_request().subject)
            assert early is not None
            assert late is not None
            return early.status, late.status, stats

    early, late, stats = within(go())

    assert (early, late) == ("active", "done")
    assert (stats.handled, stats.dead_lettered) == (2, 0)

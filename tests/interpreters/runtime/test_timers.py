"""Timers: they fire on the clock of the machine, and on one that is set back."""

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


def timer_system(seconds: float, first: Commands = None) -> System:
    """Make a workflow that sets a timer, and completes when it fires."""

    def function(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Schedule("end", after=seconds), *_as_tuple(first)
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


def _as_tuple(commands: Any) -> tuple[Any, ...]:
    return () if commands is None else (commands,)


def run_runtime(
    system: System, work: Callable[[Runtime], Awaitable[T]], **options: Any
) -> tuple[T, Stats]:
    async def go() -> tuple[T, Stats]:
        async with asyncio.timeout(5), Runtime(system, **options) as runtime:
            return await work(runtime), await runtime.drain(timeout=3)

    return asyncio.run(go())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)


@pytest.mark.promise("I7")
def test_a_timer_fires_when_it_is_due() -> None:
    """And not before, on the clock of the machine (promise I7)."""

    async def work(runtime: Runtime) -> tuple[object, float]:
        began = asyncio.get_running_loop().time()
        answer = await runtime.request(order_request(), timeout=3)
        return answer.data, asyncio.get_running_loop().time() - began

    (answer, took), stats = run_runtime(timer_system(0.05), work)

    assert answer == OrderFulfilled("end")
    assert took >= 0.05
    assert stats == Stats(handled=2, answered=1)


def test_a_timer_that_was_cancelled_does_not_fire() -> None:
    """The reply came first."""

    async def work(runtime: Runtime) -> str | None:
        await runtime.send(order_request())
        await runtime.drain(timeout=3)
        await asyncio.sleep(0.1)
        record = await runtime.record(order_request().subject)
        return record and record.status

    status, stats = run_runtime(timer_system(0.05, Emit(ChargeCard("o1", 1.0))), work)

    assert status == "active"
    assert stats == Stats(handled=3)


def test_the_timer_of_a_workflow_that_failed_is_no_dead_letter() -> None:
    """The workflow has ended, so no event is lost."""

    async def work(runtime: Runtime) -> tuple[Any, ...]:
        await runtime.request(order_request(), timeout=3)
        await asyncio.sleep(0.1)
        await runtime.drain(timeout=3)
        return await runtime.dead_letters()

    dead_letters, stats = run_runtime(timer_system(0.05, Emit(ChargeCard("o1", 0.0))), work)

    assert dead_letters == ()
    assert (stats.failed, stats.dead_lettered) == (2, 0)


def test_a_system_is_idle_while_timers_are_pending() -> None:
    """A drain must not wait until tomorrow."""

    async def work(runtime: Runtime) -> list[str]:
        await runtime.send(order_request())
        await runtime.drain(timeout=1)
        record = await runtime.record(order_request().subject)
        return [] if record is None else list(record.timers)

    timers, stats = run_runtime(timer_system(3600), work)

    assert timers == ["end"]
    assert stats == Stats(handled=1)


def test_timers_fire_after_the_backend_is_opened_again() -> None:
    """Also timers that were due while no process ran."""

    async def go() -> Stats:
        backend, system = MemoryBackend(), timer_system(0.05)
        async with Runtime(system, backend) as runtime:
            await runtime.send(order_request())
            await runtime.drain(timeout=1)
        await asyncio.sleep(0.1)
        async with Runtime(system, backend) as runtime:
            await until(lambda: runtime.stats().handled > 0)
            return await runtime.drain(timeout=1)

    assert asyncio.run(asyncio.wait_for(go(), 5)) == Stats(handled=1, answered=1)


@attrs.define
class Clock:
    """A clock that the test sets."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.promise("I7")
def test_a_timer_is_neither_early_nor_lost_when_the_clock_is_set_back() -> None:
    """The store delivered it by its own clock; it is no dead letter for that (promise I7)."""
    clock = Clock(NOW)
    two_attempts = Retry(attempts=2, delay=0.0)

    async def go() -> tuple[str, str, Stats]:
        backend = MemoryBackend(now=lambda: datetime.now(UTC) + timedelta(days=36500))
        system = timer_system(0.01)
        async with Runtime(system, backend, now=clock, retry=two_attempts) as runtime:
            await runtime.send(order_request())
            await until(lambda: runtime.stats().retried >= 10)
            early = await runtime.record(order_request().subject)
            clock.now += timedelta(seconds=1)
            stats = await runtime.drain(timeout=3)
            late = await runtime.record(order_request().subject)
            assert early is not None
            assert late is not None
            return early.status, late.status, stats

    early, late, stats = asyncio.run(asyncio.wait_for(go(), 5))

    assert (early, late) == ("active", "done")
    assert (stats.handled, stats.dead_lettered) == (2, 0)

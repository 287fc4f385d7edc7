"""Timers for real: on the clock of the machine, or on one that misbehaves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import attrs

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
    paying,
    placing,
    workflow,
)

T = TypeVar("T")


def waiting(seconds: float, first: Commands = None) -> System:
    """Make a workflow that waits, and completes when its time has come."""

    def function(turn: Turn[Any]) -> Commands:
        match turn.event.data:
            case PlaceOrder():
                return Schedule("end", after=seconds), *_each(first)
            case TimerFired(name=name):
                return Complete(OrderFulfilled(name))
            case CardCharged():
                return Cancel("end")
            case _:
                return Fail("as planned")

    answers = paying(lambda event: Emit(CardCharged("r")) if event.data.amount else Fail("no"))
    return System([workflow(function), answers])


def _each(commands: Any) -> tuple[Any, ...]:
    return () if commands is None else (commands,)


def running(
    system: System, work: Callable[[Runtime], Awaitable[T]], **options: Any
) -> tuple[T, Stats]:
    async def go() -> tuple[T, Stats]:
        async with asyncio.timeout(5), Runtime(system, **options) as runtime:
            return await work(runtime), await runtime.drain(timeout=3)

    return asyncio.run(go())


async def until(happens: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happens():
            return
        await asyncio.sleep(0.005)


def test_a_timer_fires_after_its_time() -> None:
    """I7: for real, and not before."""

    async def work(runtime: Runtime) -> tuple[object, float]:
        began = asyncio.get_running_loop().time()
        answer = await runtime.request(placing(), timeout=3)
        return answer.data, asyncio.get_running_loop().time() - began

    (answer, took), stats = running(waiting(0.05), work)

    assert answer == OrderFulfilled("end")
    assert took >= 0.05
    assert stats == Stats(handled=2, answered=1)


def test_a_timer_that_was_cancelled_does_not_fire() -> None:
    """The reply came first."""

    async def work(runtime: Runtime) -> str | None:
        await runtime.send(placing())
        await runtime.drain(timeout=3)
        await asyncio.sleep(0.1)
        record = await runtime.record(placing().subject)
        return record and record.status

    status, stats = running(waiting(0.05, Emit(ChargeCard("o1", 1.0))), work)

    assert status == "active"
    assert stats == Stats(handled=3)


def test_the_timer_of_a_workflow_that_failed_is_no_dead_letter() -> None:
    """It would have asked a workflow that is no more; nothing is lost."""

    async def work(runtime: Runtime) -> tuple[Any, ...]:
        await runtime.request(placing(), timeout=3)
        await asyncio.sleep(0.1)
        await runtime.drain(timeout=3)
        return await runtime.dead_letters()

    dead_letters, stats = running(waiting(0.05, Emit(ChargeCard("o1", 0.0))), work)

    assert dead_letters == ()
    assert (stats.failed, stats.dead_lettered) == (2, 0)


def test_a_system_is_at_rest_while_timers_wait() -> None:
    """Who drains does not want to wait for tomorrow."""

    async def work(runtime: Runtime) -> list[str]:
        await runtime.send(placing())
        await runtime.drain(timeout=1)
        record = await runtime.record(placing().subject)
        return [] if record is None else list(record.timers)

    timers, stats = running(waiting(3600), work)

    assert timers == ["end"]
    assert stats == Stats(handled=1)


def test_timers_run_on_when_the_backend_is_opened_again() -> None:
    """Also those whose time came while nobody was there."""

    async def go() -> Stats:
        backend, system = MemoryBackend(), waiting(0.05)
        async with Runtime(system, backend) as runtime:
            await runtime.send(placing())
            await runtime.drain(timeout=1)
        await asyncio.sleep(0.1)
        async with Runtime(system, backend) as runtime:
            await until(lambda: runtime.stats().handled > 0)
            return await runtime.drain(timeout=1)

    assert asyncio.run(asyncio.wait_for(go(), 5)) == Stats(handled=1, answered=1)


@attrs.define
class Clock:
    """A clock that is set by hand."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


def test_a_clock_that_is_set_back_makes_no_timer_early_and_loses_none() -> None:
    """I7: the store handed it out in good faith, and it is not buried for coming too early."""
    clock = Clock(NOW)
    patience = Retry(attempts=2, delay=0.0)

    async def go() -> tuple[str, str, Stats]:
        backend = MemoryBackend(now=lambda: datetime.now(UTC) + timedelta(days=36500))
        system = waiting(0.01)
        async with Runtime(system, backend, now=clock, retry=patience) as runtime:
            await runtime.send(placing())
            await until(lambda: runtime.stats().retried >= 10)
            early = await runtime.record(placing().subject)
            clock.now += timedelta(seconds=1)
            stats = await runtime.drain(timeout=3)
            late = await runtime.record(placing().subject)
            assert early is not None
            assert late is not None
            return early.status, late.status, stats

    early, late, stats = asyncio.run(asyncio.wait_for(go(), 5))

    assert (early, late) == ("active", "done")
    assert (stats.handled, stats.dead_lettered) == (2, 0)

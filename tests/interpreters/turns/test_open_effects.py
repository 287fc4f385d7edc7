"""OpenEffects: the calls that a flow waits for run side by side."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from attrs import evolve

from arvo import Event, Flow, Perform, Performed, Runtime, System, call, gather, race
from arvo.interpreters.calls.effects import perform
from arvo.interpreters.calls.threads import ThreadPool
from arvo.interpreters.turns.open_effects import CONCURRENT_MAX, OpenEffects
from tests.handlers.flow.flows import make_flow
from tests.interpreters.runtime.running import run_runtime, within
from tests.shop import OrderFulfilled, PlaceOrder, order_request


def perform_one(effect: Perform[Any]) -> Awaitable[Performed]:
    return perform(effect, ThreadPool("a test", 2))


def asked(*effects: Perform[Any]) -> Perform[Any]:
    """Return effects as a flow asks for them."""
    return evolve(effects[0], open=effects)


def barrier_in_the_loop() -> Callable[[str], Coroutine[Any, Any, str]]:
    barrier = asyncio.Barrier(2)

    async def meet(name: str) -> str:
        await barrier.wait()
        return name

    return meet


def barrier_of_threads() -> Callable[[str], str]:
    barrier = threading.Barrier(2, timeout=60)

    def meet(name: str) -> str:
        barrier.wait()
        return name

    return meet


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("make", [barrier_in_the_loop, barrier_of_threads])
def test_the_calls_of_a_gather_are_performed_at_the_same_time(make: Any) -> None:
    """Each waits for the other, so one after the other they would never end."""

    async def work(runtime: Runtime) -> Any:
        return await runtime.request(order_request(), timeout=30)

    def both(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        meet = made[0]
        one, two = yield from gather(call(meet, "one"), call(meet, "two"))
        return OrderFulfilled(f"{one} {two}")

    made = [make()]

    answer, _ = run_runtime(System([make_flow(both)]), work)

    assert answer.data == OrderFulfilled("one two")


@pytest.mark.usefixtures("each_backend")
def test_a_race_of_calls_is_won_by_the_first_that_ends() -> None:
    """The other call is cancelled: its result could not be used."""
    cancelled: list[str] = []

    async def slow() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append("slow")
            raise
        return "slow"

    async def fast() -> str:
        return "fast"

    def racing(event: Event[PlaceOrder]) -> Flow[OrderFulfilled]:
        return OrderFulfilled((yield from race(call(slow), call(fast))))

    async def work(runtime: Runtime) -> Any:
        return await runtime.request(order_request(), timeout=30)

    answer, _ = run_runtime(System([make_flow(racing)]), work)

    assert answer.data == OrderFulfilled("fast")
    assert cancelled == ["slow"]


def test_results_arrive_in_the_order_in_which_the_effects_end() -> None:
    """A long effect does not hold up the branch of a short one."""

    async def go() -> list[Any]:
        release = {name: asyncio.Event() for name in "abc"}

        async def wait(name: str) -> str:
            await release[name].wait()
            return name

        effects: list[Perform[Any]] = [Perform(wait, (name,)) for name in "abc"]
        running = OpenEffects(perform_one)
        results: list[Any] = []
        for name in "cab":
            release[name].set()
            done = await running.next(asked(*effects))
            results.append(done.value)
            effects = [effect for effect in effects if effect is not done.effect]
        return results

    assert within(go()) == ["c", "a", "b"]


def test_no_more_than_some_effects_of_a_step_run_at_the_same_time() -> None:
    """A flow of a thousand branches does not open a thousand connections."""
    count, most = 0, 0

    async def busy(number: int) -> int:
        nonlocal count, most
        count += 1
        most = max(most, count)
        await asyncio.sleep(0)
        count -= 1
        return number

    async def go() -> list[Any]:
        effects: list[Perform[Any]] = [Perform(busy, (n,)) for n in range(5 * CONCURRENT_MAX)]
        running = OpenEffects(perform_one)
        results: list[Any] = []
        while effects:
            done = await running.next(asked(*effects))
            results.append(done.value)
            effects = [effect for effect in effects if effect is not done.effect]
        return results

    assert sorted(within(go())) == list(range(5 * CONCURRENT_MAX))
    assert most == CONCURRENT_MAX


def test_an_equal_effect_of_another_run_of_the_flow_is_not_started_again() -> None:
    """A flow that left the cache is replayed, and asks by new objects."""
    started: list[str] = []

    async def go() -> list[Performed]:
        release = asyncio.Event()

        async def wait(name: str) -> str:
            started.append(name)
            if name == "slow":
                await release.wait()
            return name

        running = OpenEffects(perform_one)
        first = await running.next(asked(Perform(wait, ("slow",)), Perform(wait, ("fast",))))
        release.set()
        return [first, await running.next(Perform(wait, ("slow",)))]

    assert [done.value for done in within(go())] == ["fast", "slow"]
    assert started == ["slow", "fast"]


def test_closing_cancels_the_running_effects_and_lets_them_clean_up() -> None:
    """A worker that stops leaves no effect behind."""
    cleaned: list[str] = []

    async def go() -> None:
        async def hang(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.append(name)

        running = OpenEffects(perform_one)
        waiting = asyncio.ensure_future(
            running.next(asked(Perform(hang, ("a",)), Perform(hang, ("b",))))
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        await running.close()

    within(go())

    assert cleaned == ["a", "b"]

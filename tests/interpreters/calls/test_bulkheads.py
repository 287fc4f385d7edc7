"""Bulkheads: a destination that hangs occupies only its own tasks, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from arvo import Corrupt
from arvo.interpreters.calls.bulkheads import DESTINATIONS_MAX, STALL_SECONDS, Bulkheads, Work
from arvo.testing.simulation.cluster.loop import VirtualLoop

NEVER = 1e6


def run_virtual(work: Callable[[], Awaitable[None]]) -> None:
    """Run *work* in virtual time; what still hangs when it has ended is cancelled."""
    make: Any = VirtualLoop  # it has no network operations
    loop: VirtualLoop = make()

    async def go() -> None:
        await work()

    task = loop.create_task(go())
    loop.run(should_stop=task.done)
    for other in loop_tasks(loop):
        other.cancel()
    loop.run(loop.time())
    loop.close()
    task.result()


def loop_tasks(loop: VirtualLoop) -> set["asyncio.Task[object]"]:
    return {task for task in asyncio.all_tasks(loop) if not task.done()}


def takes(seconds: float, done: list[float] | None = None) -> Work:
    async def work() -> None:
        await asyncio.sleep(seconds)
        if done is not None:
            done.append(asyncio.get_running_loop().time())

    return work


@pytest.mark.parametrize("hanging", [1, 7, DESTINATIONS_MAX - 1])
def test_a_destination_that_hangs_delays_the_others_by_the_stall_time_at_most(hanging: int) -> None:
    """However many events it has, and whatever share of the destinations hangs."""

    async def work() -> None:
        bulkheads, done, refused = Bulkheads(4), list[float](), 0
        loop = asyncio.get_running_loop()
        for number in range(hanging):
            began = loop.time()
            for _ in range(50):
                refused += not await bulkheads.submit(f"hangs {number}", takes(NEVER))
            assert loop.time() - began <= STALL_SECONDS
        began = loop.time()
        for _ in range(50):
            assert await bulkheads.submit("works", takes(0.01, done))
        await asyncio.sleep(0.1)
        assert len(done) == 50
        assert loop.time() - began < STALL_SECONDS
        # Four run and four wait; the rest goes back to the backend.
        assert refused == hanging * (50 - 8)

    run_virtual(work)


def test_a_destination_that_makes_progress_refuses_no_work() -> None:
    """A burst waits in the queue, as it did before."""

    async def work() -> None:
        bulkheads, done = Bulkheads(4), list[float]()
        for _ in range(500):
            assert await bulkheads.submit("busy", takes(0.9, done))
        await bulkheads.close(NEVER)
        assert len(done) == 500

    run_virtual(work)


def test_a_destination_accepts_work_again_after_it_has_hung() -> None:
    """A listener that timed out frees its task."""

    async def work() -> None:
        bulkheads, done = Bulkheads(1), list[float]()
        for seconds in (30, 0.1, 0.1):
            await bulkheads.submit("partner", takes(seconds, done))
        assert not await bulkheads.submit("partner", takes(0.1, done))
        assert not await bulkheads.submit("partner", takes(0.1, done))
        await asyncio.sleep(30)
        assert await bulkheads.submit("partner", takes(0.1, done))
        await bulkheads.close(NEVER)
        assert len(done) == 3

    run_virtual(work)


def test_destinations_beyond_the_limit_wait_for_one_that_ends() -> None:
    """Handlers may emit to any number of domains, one for each customer."""

    async def work() -> None:
        bulkheads, done = Bulkheads(2), list[float]()
        for number in range(3 * DESTINATIONS_MAX):
            assert await bulkheads.submit(f"customer {number}", takes(0.5, done))
        await bulkheads.close(NEVER)
        assert len(done) == 3 * DESTINATIONS_MAX
        for number in range(DESTINATIONS_MAX):
            await bulkheads.submit(f"hangs {number}", takes(NEVER))
        assert not await bulkheads.submit("one more", takes(0.5, done))

    run_virtual(work)


def test_the_end_waits_for_the_work_and_cancels_what_is_late() -> None:
    """A delivery that was not acknowledged is delivered again."""

    async def work() -> None:
        bulkheads, done = Bulkheads(1), list[float]()
        for seconds in (1, 2, 60, 1):
            await bulkheads.submit(f"takes {seconds}", takes(seconds, done))
        await bulkheads.close(10)
        assert done == [1, 2, 2]
        assert not bulkheads.tasks

    run_virtual(work)


def test_damage_that_a_task_meets_is_raised_to_its_watcher() -> None:
    """The runtime must stop, as it does when a worker breaks."""

    async def work() -> None:
        async def breaks() -> None:
            raise Corrupt("the file is damaged")

        bulkheads = Bulkheads(1)
        watching = asyncio.create_task(bulkheads.watch())
        await asyncio.sleep(0)
        await bulkheads.submit("partner", breaks)
        with pytest.raises(Corrupt, match="damaged"):
            await watching

    run_virtual(work)

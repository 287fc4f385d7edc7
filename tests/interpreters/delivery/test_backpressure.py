"""Backpressure: senders wait while too many events are under way, and no longer."""

import asyncio

import pytest

from arvo import Unavailable
from arvo.interpreters.delivery.backpressure import Backpressure
from tests.interpreters.within import within


async def ready(*tasks: "asyncio.Task[None]") -> list[bool]:
    """Run every task until it waits, and return which of *tasks* have ended."""
    for _ in range(5):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


def test_senders_are_admitted_in_order_while_there_is_room() -> None:
    """An event that is being stored takes room too."""

    async def go() -> None:
        backpressure = Backpressure(3)
        backpressure.update(1)
        with backpressure.reserve():
            await backpressure.wait()
            backpressure.add(1)
            one, two, three = (asyncio.create_task(backpressure.wait()) for _ in range(3))
            assert await ready(one, two, three) == [False, False, False]
        backpressure.add(-1)
        assert await ready(one, two, three) == [True, True, False]
        backpressure.add(2)
        backpressure.update(3)
        assert await ready(three) == [False]
        backpressure.update(2)
        assert await ready(three) == [True]

    within(go())


def test_no_sender_waits_before_the_first_count() -> None:
    """The depth is not guessed, and it never becomes negative."""

    async def go() -> None:
        backpressure = Backpressure(1)
        backpressure.add(5)
        depths = [backpressure.depth]
        await backpressure.wait()
        backpressure.update(0)
        for change in (-1, 1):
            backpressure.add(change)
            depths.append(backpressure.depth)
        assert depths == [None, 0, 1]

    within(go())


def test_closing_fails_the_waiting_senders() -> None:
    """Afterwards the depth is unknown until the next count."""

    async def go() -> None:
        backpressure = Backpressure(1)
        backpressure.update(1)
        waiting = asyncio.create_task(backpressure.wait())
        await asyncio.sleep(0)
        backpressure.close(Unavailable("closed"))
        with pytest.raises(Unavailable, match="closed"):
            await waiting
        assert backpressure.depth is None

    within(go())


@pytest.mark.parametrize("is_counted", [True, False])
def test_an_event_that_is_stored_while_others_are_counted_is_not_forgotten(
    is_counted: bool,
) -> None:
    """Otherwise a sender passes a full queue. One that is counted twice holds it up a moment."""

    async def go() -> None:
        backpressure, stored = Backpressure(3), 2

        async def count() -> int:
            nonlocal stored
            read = stored
            await asyncio.sleep(0)
            stored += 1
            backpressure.add(1)
            return stored if is_counted else read

        for _ in range(2):
            await backpressure.recount(count)
            assert backpressure.depth is not None
            assert backpressure.depth >= stored
        await backpressure.recount(lambda: asyncio.sleep(0, stored))
        assert backpressure.depth == stored

    within(go())

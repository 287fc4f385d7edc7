"""Room: who sends waits while enough is under way, and no longer."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from arvo import Unavailable
from arvo.interpreters.delivery.backpressure import Room
from arvo.interpreters.delivery.rest import until_rest


def within(work: Coroutine[Any, Any, None]) -> None:
    async def go() -> None:
        async with asyncio.timeout(3):
            await work

    asyncio.run(go())


async def ready(*tasks: "asyncio.Task[None]") -> list[bool]:
    """Tell which have ended, once all that can go on has."""
    for _ in range(5):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


def test_as_many_enter_as_there_is_room_for_in_their_order() -> None:
    """Whoever is on the way in takes room, too."""

    async def go() -> None:
        room = Room(3)
        room.counted(1)
        with room.entering():
            await room.enough()
            room.add(1)
            one, two, three = (asyncio.create_task(room.enough()) for _ in range(3))
            assert await ready(one, two, three) == [False, False, False]
        room.add(-1)
        assert await ready(one, two, three) == [True, True, False]
        room.add(2)
        room.counted(3)
        assert await ready(three) == [False]
        room.counted(2)
        assert await ready(three) == [True]

    within(go())


def test_what_was_never_counted_is_not_guessed() -> None:
    """Until then nobody waits; what goes is not counted below nothing."""

    async def go() -> None:
        room = Room(1)
        room.add(5)
        depths = [room.depth]
        await room.enough()
        room.counted(0)
        for many in (-1, 1):
            room.add(many)
            depths.append(room.depth)
        assert depths == [None, 0, 1]

    within(go())


def test_who_waits_when_it_is_closed_hears_why() -> None:
    """And afterwards it has to be counted anew."""

    async def go() -> None:
        room = Room(1)
        room.counted(1)
        waiting = asyncio.create_task(room.enough())
        await asyncio.sleep(0)
        room.close(Unavailable("closed"))
        with pytest.raises(Unavailable, match="closed"):
            await waiting
        assert room.depth is None

    within(go())


def test_rest_is_when_the_answer_is_no() -> None:
    """Asked at least once, and no more than it takes."""

    async def go() -> None:
        answers = [True, True, False, True]

        async def is_busy() -> bool:
            return answers.pop(0)

        await until_rest(is_busy)
        assert answers == [True]

    within(go())

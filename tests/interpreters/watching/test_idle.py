"""Idle: a stream that shows that it is alive, and ends in time."""

import asyncio
from collections.abc import AsyncGenerator

from arvo.interpreters.watching.idle import with_idle
from tests.interpreters.within import within


def test_a_pause_is_marked_and_loses_no_item() -> None:
    """A proxy closes a connection on which nothing comes."""
    go_on = asyncio.Event()

    async def items() -> AsyncGenerator[int, None]:
        yield 1
        await go_on.wait()
        yield 2

    async def go() -> list[int | None]:
        seen: list[int | None] = []
        until = asyncio.get_running_loop().time() + 60
        async for item in with_idle(items(), 0.01, until):
            seen.append(item)
            if seen.count(None) == 3:
                go_on.set()
        return seen

    seen = within(go())

    assert [item for item in seen if item is not None] == [1, 2]
    assert seen.count(None) >= 3


def test_a_stream_ends_in_time() -> None:
    """A browser opens a stream again; a server cannot hold one for ever."""

    async def items() -> AsyncGenerator[int, None]:
        yield 1
        await asyncio.Event().wait()

    async def go() -> list[int | None]:
        until = asyncio.get_running_loop().time()
        return [item async for item in with_idle(items(), 60, until)]

    assert within(go()) == []


def test_a_stream_that_is_closed_closes_its_items() -> None:
    """A client that is gone must not be watched for."""
    closed: list[bool] = []

    async def items() -> AsyncGenerator[int, None]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def go() -> int | None:
        until = asyncio.get_running_loop().time() + 60
        stream = with_idle(items(), 60, until)
        first = await anext(stream)
        await stream.aclose()
        return first

    assert within(go()) == 1
    assert closed == [True]

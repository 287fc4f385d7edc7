"""Changes: open pages learn which workflows have changed, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable

import orjson

from arvo import Runtime
from arvo.console.changes import REMEMBERED_MAX, Changes
from arvo.console.views.data import digest_of
from tests.console.stores import ORDERS, begin, filled, system, turns
from tests.console.stores import Order as Placed
from tests.interpreters.within import within


async def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for a state, without a clock that decides."""
    while not is_so():  # noqa: ASYNC110 - a state that nothing announces
        await asyncio.sleep(0.01)


async def next_change(stream: AsyncIterator[bytes]) -> tuple[int, list[str]]:
    """Read a stream up to its next change: its number and the subjects."""
    async for text in stream:
        if text.startswith(b"id:"):
            lines = dict(line.split(b": ", 1) for line in text.splitlines() if line)
            return int(lines[b"id"]), orjson.loads(lines[b"data"])
    raise AssertionError("the stream has ended")


def test_a_page_learns_what_changed_since_it_was_opened() -> None:
    """Rows that are on the screen are read again; ids alone are sent."""
    event = begin(turns, "late-1", Placed(10))

    async def go() -> tuple[int, list[str]]:
        async with filled() as runtime:
            changes = Changes(runtime, poll_seconds=0.01)
            stream = changes.stream(0)
            reading = asyncio.create_task(next_change(stream))
            await wait_until(lambda: changes._revisions is not None)
            await runtime.send(event)
            found = await reading
            await stream.aclose()
            assert changes._polling is None
            return found

    number, subjects = within(go())

    assert number == 1
    assert subjects == [digest_of(event.subject)]


def test_a_page_that_was_away_gets_what_it_missed() -> None:
    """A laptop that slept opens the stream again with the last number that it saw."""

    async def go() -> list[tuple[int, list[str]]]:
        async with Runtime(system, "memory:") as runtime:
            changes = Changes(runtime, poll_seconds=60)
            changes._number = 2
            changes.compare(())
            async with filled() as other:
                stored = await other.workflows()
            changes.compare(stored[:1])
            changes.compare(stored)
            stream = changes.stream(3)
            return [await next_change(stream)]

    ((number, subjects),) = within(go())

    assert number == 4
    assert len(subjects) == len(ORDERS) - 1


def test_what_is_remembered_has_a_limit() -> None:
    """A busy system changes more often than any page looks."""

    async def go() -> int:
        async with filled() as runtime:
            changes = Changes(runtime)
            stored = await runtime.workflows()
            changes.compare(())
            for _ in range(REMEMBERED_MAX):
                changes.compare(stored)
                changes.compare(())
            return len(changes._remembered)

    assert within(go()) == REMEMBERED_MAX

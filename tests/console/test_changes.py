"""Changes: open pages learn which workflows have changed, and nothing else."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson

from arvo import Client, Violated
from arvo.console import console
from arvo.console.changes import REMEMBERED_MAX, Changes
from arvo.console.views.data import digest_of
from arvo.core.violations.violation import ConfigViolation
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.ports.results import PAGE_MAX
from tests.console.stores import ORDERS, begin, browse, filled, system, turns
from tests.console.stores import Order as Placed
from tests.interpreters.runtime.running import Replaced
from tests.interpreters.within import within


async def next_change(stream: AsyncIterator[bytes]) -> tuple[str, list[str]]:
    """Read a stream up to its next change: its id and the subjects."""
    async for text in stream:
        if text.startswith(b"id:"):
            lines = dict(line.split(b": ", 1) for line in text.splitlines() if line)
            return lines[b"id"].decode(), orjson.loads(lines[b"data"])
    raise AssertionError("the stream has ended")


def quick(runtime: Client) -> Changes:
    """Return changes that are looked for more often than pages need."""
    return Changes(runtime, poll_seconds=0.01, change_seconds=0.01)


def stream_after(changes: Changes, id_: str | None) -> AsyncGenerator[bytes, None]:
    """Return the stream of a page that has this id."""
    return changes.stream(changes._number_of(id_ or ""))


def test_a_page_learns_what_changed_since_it_was_read() -> None:
    """Also before it asks for the first time, while pages of other tabs watch or none does."""
    early, late = begin(turns, "early-1", Placed(10)), begin(turns, "late-1", Placed(10))

    async def go() -> tuple[list[tuple[str, list[str]]], list[str | None]]:
        async with filled() as runtime:
            changes = quick(runtime)
            marks = [await changes.mark()]
            await runtime.send(early)
            await runtime.drain(timeout=60)
            stream = stream_after(changes, marks[0])
            found = [await next_change(stream)]
            marks.append(await changes.mark())
            await runtime.send(late)
            await runtime.drain(timeout=60)
            # The page of another tab learns of it first.
            found.append(await next_change(stream))
            other = stream_after(changes, marks[1])
            found.append(await next_change(other))
            await stream.aclose()
            await other.aclose()
            assert changes._polling is None
            return found, marks

    found, marks = within(go())

    assert [id_ for id_, _ in found[:1]] == marks[1:]
    assert [set(subjects) for _, subjects in found] == [
        {digest_of(early.subject)},
        {digest_of(late.subject)},
        {digest_of(late.subject)},
    ]


def test_a_page_of_another_process_learns_that_there_may_be_changes() -> None:
    """Nobody knows what it has missed: it is read again."""

    async def go() -> list[list[str]]:
        async with filled() as runtime:
            first, second = quick(runtime), quick(runtime)
            mark = await first.mark()
            await second.mark()
            streams = [stream_after(second, it) for it in (mark, "", f"{mark}0", "x-1")]
            found = [(await next_change(stream))[1] for stream in streams]
            for stream in streams:
                await stream.aclose()
            return found

    assert within(go()) == [[], [], [], []]


def test_a_page_that_was_away_gets_what_it_missed() -> None:
    """A laptop that slept opens the stream again with the last id that it saw."""

    async def go() -> list[str]:
        async with filled() as runtime:
            changes = quick(runtime)
            stored = await runtime.workflows()
            changes.compare(())
            changes.compare(stored[:1])
            changes.compare(stored)
            stream = stream_after(changes, f"{changes._process}-1")
            _, subjects = await next_change(stream)
            await stream.aclose()
            return subjects

    assert len(within(go())) == len(ORDERS) - 1


def test_a_page_that_was_away_for_too_long_is_read_again() -> None:
    """A busy system changes more often than any page looks: what is remembered has a limit."""

    async def go() -> tuple[int, list[int | None]]:
        async with filled() as runtime:
            changes = Changes(runtime)
            stored = await runtime.workflows()
            changes.compare(())
            for _ in range(REMEMBERED_MAX + 2):
                changes.compare(stored)
                changes.compare(())
            ids = (f"{changes._process}-{number}" for number in (1, 2, 3))
            return len(changes._remembered), list(map(changes._number_of, ids))

    assert within(go()) == (REMEMBERED_MAX, [None, 2, 3])


def test_a_quiet_backend_is_asked_for_one_workflow() -> None:
    """An open page costs a store that does nothing next to nothing."""

    async def go() -> list[int]:
        async with filled() as runtime:
            limits: list[int] = []

            async def workflows(*, limit: int, **given: Any) -> Any:
                limits.append(limit)
                return await runtime.backend.workflows(limit=limit, **given)

            changes = quick(Client(system, Replaced(runtime.backend, workflows=workflows)))
            for _ in range(3):
                await changes.mark()
            return limits

    assert within(go()) == [1, PAGE_MAX, 1, 1]


def test_a_page_of_a_backend_that_cannot_list_follows_nothing() -> None:
    """It opens no connection that would never bring a thing."""

    async def refuse(**_: Any) -> Any:
        raise Violated(ConfigViolation("this store has no index"))

    async def go() -> tuple[str | None, str]:
        async with filled() as runtime:
            client = Client(system, Replaced(runtime.backend, workflows=refuse))
            async with browse(console(client)) as browser:
                return await Changes(client).mark(), (await browser.get("/workers")).text

    mark, text = within(go())

    assert mark is None
    assert "data-live" not in text


def test_a_backend_that_was_away_may_have_changed_anything() -> None:
    """An outage hides what happened meanwhile."""

    async def go() -> list[str]:
        async with filled() as runtime:
            is_away = True

            async def workflows(**given: Any) -> Any:
                if is_away:
                    raise Unavailable("it restarts")
                return await runtime.backend.workflows(**given)

            changes = quick(Client(system, Replaced(runtime.backend, workflows=workflows)))
            stream = stream_after(changes, await changes.mark())
            is_away = False
            _, subjects = await next_change(stream)
            await stream.aclose()
            return subjects

    assert len(within(go())) == len(ORDERS)

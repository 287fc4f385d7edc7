"""Walks: a long history pages without a hitch, and a page says how far its replay has come."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, cast

import httpx
import pytest
from attrs import evolve

from arvo import Backend, Commands, Commit, Complete, Emit, Persist, Runtime, System, Turn, replay
from arvo.console.replay import walks
from arvo.console.replay.walks import Found, Unreached, Walks, walks_of
from arvo.console.views.secrets import Redaction
from arvo.console.views.workflow.replays import TURNS_SHOWN_MAX, Results, show_replay
from arvo.console.views.workflow.travel import moments_of
from arvo.core.violations.issue import Issue
from arvo.engine.history.replay import ReplayedTurn
from arvo.engine.system.schemas import Schemas
from arvo.interpreters.http.workflow_json import to_path
from property_tests.test_walks import Stored
from tests.console.stores import ORDERS, SECRET, with_console
from tests.histories import write_history
from tests.shop import (
    NOW,
    CardCharged,
    ChargeCard,
    OrderFulfilled,
    PlaceOrder,
    expect_commit,
    make_workflow,
    order_request,
    reply_to,
)

TURNS = 1_500


def count(turn: Turn[Any]) -> Commands:
    """Ask once more in each turn."""
    if isinstance(turn.event.data, PlaceOrder):
        return Persist(0), Emit(ChargeCard("o1", 1.0))
    return (
        (Persist(turn.state + 1), Emit(ChargeCard("o1", 1.0)))
        if turn.state < TURNS
        else Complete(OrderFulfilled("t"))
    )


counting = System([make_workflow(count)])


def long_run() -> Sequence[Commit]:
    """Return the turns of a long workflow."""
    commits = [expect_commit(counting, order_request())]
    for number in range(TURNS - 1):
        before = commits[-1]
        reply = reply_to(before.events[0], CardCharged("r"), key=f"r{number}")
        commits.append(expect_commit(counting, reply, before.record))
    return commits


def test_a_page_in_the_middle_reads_a_part_of_the_history_and_not_the_whole() -> None:
    """The replay goes on from a point before it."""
    commits = long_run()
    stored, history = commits[-1].record, write_history(*commits)
    assert stored is not None
    read: list[int] = []
    threads = set[str]()

    class Counting(Stored):
        async def history(self, subject: str, **options: Any) -> Any:
            page = await super().history(subject, **options)
            read.append(len(page))
            return page

    def secrets_of(_: object) -> list[str]:
        threads.add(threading.current_thread().name)
        return ["pin"]

    async def go() -> None:
        found = Walks(counting, cast("Backend", Counting(history)), seconds=60.0)
        last = await found.find(stored, None, secrets_of)
        everything, read[:] = sum(read), []
        middle = await found.find(stored, 700, secrets_of)
        once = sum(read)
        read[:] = []
        following = await found.find(stored, 701, secrets_of)

        assert isinstance(last, Found)
        assert isinstance(middle, Found)
        assert isinstance(following, Found)
        assert (last.moment.revision, last.moment.record) == (TURNS, stored)
        assert (middle.moment.record, middle.before) == (commits[699].record, commits[698].record)
        assert (following.moment.record, following.before) == (
            commits[700].record,
            commits[699].record,
        )
        assert middle.secret == {"pin"}
        assert everything > len(history)
        assert once <= 2_000
        assert sum(read) == 0

    asyncio.run(go())


def test_a_replay_that_takes_too_long_goes_on_with_the_next_page() -> None:
    """A page waits for a bounded time, and says how far the replay has come."""
    commits = long_run()
    stored = commits[-1].record
    assert stored is not None

    async def go() -> list[int]:
        found = Walks(counting, cast("Backend", Stored(write_history(*commits))), seconds=0.0)
        reached = []
        while isinstance(it := await found.find(stored, TURNS, lambda _: ()), Unreached):
            reached.append(it.revision)
        assert isinstance(it, Found)
        assert it.moment.record == stored
        return reached

    reached = asyncio.run(go())

    assert len(reached) > 2
    assert reached == sorted(set(reached))


def test_points_and_slices_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record may have some megabytes."""
    monkeypatch.setattr(walks, "POINTS_MAX", 4)
    commits = long_run()[:200]
    stored, history = commits[-1].record, write_history(*commits)
    assert stored is not None
    moments = moments_of(history, replay(counting, history, record=stored))

    async def go() -> None:
        found = Walks(counting, cast("Backend", Stored(history)), seconds=60.0, page=20)
        for revision in (200, 3, 77, 150, 199):
            it = await found.find(stored, revision, lambda _: ())
            assert isinstance(it, Found)
            assert it.moment.record == moments[revision - 1].record
            assert it.before == (moments[revision - 2].record)
        [walk] = found._walks.values()
        assert len(walk.points) <= 4
        assert len(found._slices) <= walks.SLICES_MAX

    asyncio.run(go())


def test_of_many_turns_the_newest_and_the_doubtful_are_listed() -> None:
    """And all are counted, in a bounded number of rows."""
    agrees = ReplayedTurn(revision=0, at=NOW, event=order_request(), produced=())
    differs = evolve(agrees, differences=(Issue("turn", "a change", "no change"),))
    unknown = evolve(agrees, not_replayable="the effect is unknown")
    kinds = [differs, agrees, unknown, agrees] * TURNS_SHOWN_MAX
    results = Results()
    for number, turn in enumerate(kinds, start=1):
        results.add([evolve(turn, revision=number)])

    view = show_replay(results, (), Redaction(Schemas.of(counting), shows_data=True))

    assert not view.agrees
    listed = [row.revision for row in view.turns]
    older = [2 * number + 1 for number in range(TURNS_SHOWN_MAX)]
    assert listed == [*older, *range(len(kinds) - TURNS_SHOWN_MAX + 1, len(kinds) + 1)]
    assert view.left_out == len(kinds) - 2 * TURNS_SHOWN_MAX
    assert view.doubtful_left_out == len(kinds) // 2 - TURNS_SHOWN_MAX - TURNS_SHOWN_MAX // 2


async def read_twice(browser: httpx.AsyncClient, runtime: Runtime, tab: str) -> str:
    """Read a tab whose replay takes one revision a page, and return its second page."""
    walks_of(runtime).seconds = 0.0
    walks_of(runtime).page = 1
    path = f"/workflows/{to_path(ORDERS['failed-1'].subject)}?tab={tab}"
    first = await browser.get(path)
    second = await browser.get(path)

    assert first.status_code == second.status_code == 200
    assert "The replay has come to revision 1 of 2" in first.text
    assert SECRET not in first.text + second.text
    return second.text


def test_the_replay_of_a_long_history_ends_with_a_later_page() -> None:
    """However long it is; the last page judges every turn."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        second = await read_twice(browser, runtime, "replay")

        assert "Each turn agrees with the code" in second

    with_console(use)


def test_a_page_says_how_far_its_replay_has_come() -> None:
    """It reads itself again, and leads to what can be seen already."""

    async def use(browser: httpx.AsyncClient, runtime: Runtime) -> None:
        second = await read_twice(browser, runtime, "travel")

        assert "What it sent" in second

    with_console(use)

"""Laws of walks: a replay in slices shows a page what a replay of the whole history shows."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from attrs import frozen
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import Backend, Commit, HistoryEntry, Record, Replay, System, Trace, replay
from arvo.console.replay.walks import Found, Unreached, Walks
from arvo.console.views.workflow.replays import Results
from arvo.console.views.workflow.travel import moments_of
from property_tests.test_family import family_runs
from property_tests.test_flows import CHOICES, PROGRAMS, make_handler, run_steps
from property_tests.test_flows import Program as FlowProgram
from property_tests.test_fork import turns_by_workflow
from tests.family import family
from tests.histories import write_history

# Entries of one page: few, so that a short history has many slices.
PAGES = st.integers(1, 12)
# The revisions that are asked for, modulo the number of them, in any order.
ASKED = st.lists(st.integers(0, 99), min_size=1, max_size=6)


@frozen
class Stored:
    """A backend that has one history."""

    entries: Sequence[HistoryEntry]

    async def history(
        self, subject: str, *, before: int | None = None, limit: int = 1_000
    ) -> tuple[HistoryEntry, ...]:
        """Return the newest entries before a position, oldest first."""
        del subject
        older = [it for it in self.entries if before is None or it.position < before]
        return tuple(older[-limit:])


async def shows_the_same(
    system: System, commits: Sequence[Commit], page: int, asked: Sequence[int], seconds: float
) -> None:
    """Ask for moments, and compare each with that of a whole replay."""
    stored, history = commits[-1].record, write_history(*commits)
    assert stored is not None
    moments = {
        it.revision: it for it in moments_of(history, replay(system, history, record=stored))
    }
    walks = Walks(system, cast("Backend", Stored(history)), seconds=seconds, page=page)
    for number in asked:
        revision = 1 + number % len(moments)
        reached = 0
        while isinstance(found := await walks.find(stored, revision, lambda _: ()), Unreached):
            assert reached < found.revision < revision  # each request goes on
            reached = found.revision
        assert isinstance(found, Found)
        expected = moments[revision]
        assert (found.moment.event, found.moment.record) == (expected.event, expected.record)
        assert found.moment.produced == expected.produced
        assert found.moment.note == expected.note
        before = moments.get(revision - 1)
        assert found.before == (None if before is None else before.record)
        assert (found.first, found.last) == (1, stored.revision)
    await replays_the_same(walks, stored, replay(system, history, record=stored))
    note(f"revisions: {min(len(moments), 5)}")


async def replays_the_same(walks: Walks, stored: Record, whole: Replay) -> None:
    """Compare the results of all turns, and of the record, with those of a whole replay."""
    while isinstance(found := await walks.replay(stored, lambda _: ()), Unreached):
        pass
    expected = Results()
    expected.add(whole.turns)
    assert found.results.newest == expected.newest
    assert found.results.number == len(whole.turns)
    assert found.differences == whole.record_differences
    note(f"agrees: {whole.agrees}")


@given(family_runs(), st.integers(0, 59), PAGES, ASKED, st.sampled_from([0.0, 60.0]))
def test_a_walk_through_a_family_shows_what_a_whole_replay_shows(
    trace: Trace, which: int, page: int, asked: list[int], seconds: float
) -> None:
    """However short the time of a page is, and whatever is asked for first."""
    workflows = list(turns_by_workflow(trace.commits))
    turns = workflows[which % len(workflows)]
    asyncio.run(shows_the_same(family, turns, page, asked, seconds))


@given(PROGRAMS, CHOICES, PAGES, ASKED, st.sampled_from([0.0, 60.0]))
def test_a_walk_through_a_flow_shows_what_a_whole_replay_shows(
    program: FlowProgram, choices: list[int], page: int, asked: list[int], seconds: float
) -> None:
    """The results of its calls come from the journal, in whichever slice they are."""
    system = System([make_handler(program)])
    steps: list[Any] = run_steps(system, choices)
    commits = [step.commit for step in steps if step.commit.record is not None]
    asyncio.run(shows_the_same(system, commits, page, asked, seconds))


@settings(max_examples=settings().max_examples // 2)
@given(PROGRAMS, PROGRAMS, CHOICES, PAGES, st.sampled_from([0.0, 60.0]))
def test_a_walk_by_other_code_finds_what_a_whole_replay_finds(
    program: FlowProgram, changed: FlowProgram, choices: list[int], page: int, seconds: float
) -> None:
    """Turns that differ, are unknown, or change nothing now: in whichever slice they are."""
    steps: list[Any] = run_steps(System([make_handler(program)]), choices)
    commits = [step.commit for step in steps if step.commit.record is not None]
    stored, history = commits[-1].record, write_history(*commits)
    assert stored is not None
    system = System([make_handler(changed)])
    walks = Walks(system, cast("Backend", Stored(history)), seconds=seconds, page=page)
    asyncio.run(replays_the_same(walks, stored, replay(system, history, record=stored)))

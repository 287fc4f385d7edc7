"""Laws of replay: a history agrees with the system that made it, up to any turn."""

import pytest
from attrs import evolve
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import HistoryEntry, System, Trace, replay, run
from property_tests.test_family import family_runs
from property_tests.test_timers import SCRIPTS, Script, scripted
from tests.family import family
from tests.histories import histories_of
from tests.shop import NOW, order_request


def agrees(system: System, trace: Trace, until: int) -> None:
    """Replay each workflow of a run, completely and up to a revision."""
    records = [commit.record for commit in trace.commits if commit.record is not None]
    known = {(record.subject, record.revision): record for record in records}
    for subject, history in histories_of(trace).items():
        whole = replay(system, history, record=trace.records[subject])
        part = replay(system, history, until=until)

        assert whole.agrees, str(whole)
        assert whole.record == trace.records[subject]
        assert part.agrees, str(part)
        assert part.record == known[subject, min(until, history[-1].revision)]


@pytest.mark.promise("I3")
@given(SCRIPTS)
def test_a_replay_agrees_under_any_trace(script: Script) -> None:
    """I3: the trace of each turn is an input, which its history holds in what it produced."""
    system = scripted(script)
    trace = run(system, order_request(), now=NOW, steps_max=30)
    for history in histories_of(trace).values():
        traced = tuple(in_span_of_turn(entry) for entry in history)

        replayed = replay(system, traced)

        assert replayed.agrees, str(replayed)


def in_span_of_turn(entry: HistoryEntry) -> HistoryEntry:
    """Give what a turn produced the trace that an observed worker would give it."""
    if entry.event is None or entry.kind != "produced":
        return entry
    parent = f"00-{1:032x}-{entry.revision:016x}-01"
    return evolve(entry, event=evolve(entry.event, traceparent=parent, tracestate="vendor=1"))


@pytest.mark.promise("I3", "I7")
@given(SCRIPTS, st.integers(1, 10))
def test_a_workflow_with_timers_agrees_with_its_replay(script: Script, until: int) -> None:
    """I3, I7: the same turns set timers for the same times and clear them."""
    system = scripted(script)
    trace = run(system, order_request(), now=NOW, steps_max=30)

    note(f"turns: {min(len(trace.commits), 5)}")
    agrees(system, trace, until)


@given(family_runs(), st.integers(1, 5))
def test_a_family_of_workflows_agrees_with_its_replay(trace: Trace, until: int) -> None:
    """A turn may also start children, fail, compensate and be cancelled."""
    note(f"workflows: {min(len(trace.records), 5)}")
    agrees(family, trace, until)

"""Laws of families: every end reaches each relative once, and compensates once."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Cancellation, Event, Record, Trace, tree
from arvo.engine.trace import StepTaken
from tests.family import begin, cancel, deed, plan, run_family
from tests.shop import TIME, WEB

ROOT = begin(plan()).subject
SECONDS = 10


def plans(children: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Draw plans of the siblings of one generation, each with its *children*."""
    one = st.builds(
        _plan,
        does=st.sampled_from(["wait"] * 5 + ["complete", "fail", "raise"]),
        after=st.sampled_from([None, None, *range(SECONDS)]),
        last=st.sampled_from(["wait"] * 5 + ["complete", "fail", "raise"]),
        compensations=st.integers(0, 3),
        children=children,
    )
    return st.lists(one, max_size=3)


def _plan(does: str, after: int | None, last: str, compensations: int, children: list[Any]) -> Any:
    data = plan(does, *children, last=last, compensations=[str(n) for n in range(compensations)])
    return data if after is None else {**data, "after": after}


FAMILIES = plans(plans(plans(st.just([])))).filter(bool).map(lambda siblings: siblings[0])


@st.composite
def family_runs(draw: st.DrawFn) -> Trace:
    """Draw a run of a family whose topmost workflow is cancelled, perhaps twice."""
    times = draw(st.lists(st.integers(0, SECONDS), min_size=1, max_size=2))
    ends = [
        cancel(ROOT, time=_after(seconds), by=f"cancel{number}")
        for number, seconds in enumerate(times)
    ]
    return run_family(draw(FAMILIES), *ends)


def _after(seconds: int) -> str:
    return (datetime.fromisoformat(TIME) + timedelta(seconds=seconds)).isoformat()


def cancelled(trace: Trace) -> dict[str, Event[Any]]:
    """Return the runs whose last turn was a cancellation, with its event."""
    return {
        entry.commit.record.subject: entry.event
        for entry in trace.entries
        if isinstance(entry, StepTaken)
        and entry.commit.record is not None
        and entry.event.type.endswith(".cancel")
    }


@given(family_runs())
def test_no_child_of_a_cancelled_workflow_goes_on(trace: Trace) -> None:
    """Each open child gets one cancellation; a child that has ended gets none."""
    gone = cancelled(trace)

    note(f"cancelled: {min(len(gone), 5)}")
    assert [
        record
        for record in trace.records.values()
        if record.parent in gone and record.status == "active"
    ] == []
    cancels = [event for event in trace.events if event.type.endswith(".cancel")]
    counts = Counter(event.subject for event in cancels if event.source != "com.shop.office")
    assert set(counts.values()) <= {1}
    for event in cancels:
        if event.source != "com.shop.office":
            assert Cancellation(**event.raw).by == trace.records[event.subject].parent
    assert (trace.violations, trace.unroutable, trace.pending) == ((), (), ())


@given(family_runs())
def test_each_end_is_reported_once_and_never_to_a_parent_that_cancelled(
    trace: Trace,
) -> None:
    """B22: a parent gets one completion or one system error of each of its own children."""
    gone = cancelled(trace)
    ends = [
        event
        for event in trace.events
        if event.source.startswith("arvo.orc.family") and event.type.endswith((".done", ".error"))
    ]

    assert set(Counter(event.parentid for event in ends).values()) <= {1}
    by_init = {record.init: record for record in trace.records.values()}
    for event in ends:
        run = by_init[event.parentid or ""]
        above = None if run.parent is None else trace.records[run.parent]
        assert event.subject == (run.subject if above is None else above.subject)
        assert event.to == (WEB if above is None else above.handler)
        if event.type.endswith(".error") and run.subject in gone:
            assert gone[run.subject].source == "com.shop.office"
    ended = [record for record in trace.records.values() if record.status != "active"]
    by_parent = {
        subject for subject, event in gone.items() if event.source.startswith("arvo.orc.family")
    }
    expected = {record.init for record in ended if record.subject not in by_parent}
    reported = {event.parentid for event in ends}
    assert expected <= reported
    silent = {record.init for record in ended} - reported
    assert {by_init[init or ""].subject for init in silent} <= by_parent


@given(family_runs())
def test_compensations_are_sent_once_in_reverse_and_only_after_a_failure(trace: Trace) -> None:
    """The commit that fails or cancels the workflow sends them; a completed workflow never does."""
    sent: dict[str, list[str]] = {}
    for event in trace.events:
        if event.type == deed.type:
            sent.setdefault(event.subject, []).append(event.raw["name"])

    for subject, names in sent.items():
        assert trace.records[subject].status in ("failed", "cancelled")
        assert names == sorted(names, reverse=True)
    for record in trace.records.values():
        if record.status == "cancelled":
            assert len(sent.get(record.subject, [])) == len(_plan_of(record)["compensations"])
            assert record.compensations == ()


@given(family_runs())
def test_any_record_leads_to_the_whole_tree(trace: Trace) -> None:
    """The tree has each record once."""
    whole = tree(trace.records, ROOT)

    assert {run.subject: run.record for run in whole} == trace.records
    assert len(list(whole)) == len(trace.records)
    assert all(tree(trace.records, subject) == whole for subject in trace.records)


@given(family_runs())
def test_records_of_a_family_survive_a_trip_through_json(trace: Trace) -> None:
    """Children, timers and compensations are included."""
    for record in trace.records.values():
        assert Record.from_dict(record.to_dict()) == record


def _plan_of(record: Record) -> dict[str, Any]:
    state: Any = record.state
    data: dict[str, Any] = state["plan"]
    return data

"""Laws of families: whoever ends, nobody is forgotten, told twice, or undone twice."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import Cancellation, Event, Record, Trace, tree
from arvo.engine.trace import Stepped
from tests.family import begin, cancel, deed, lived, plan
from tests.shop import TIME, WEB

ROOT = begin(plan()).subject
SECONDS = 10


def plans(children: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Plans of the siblings of one generation, each with its *children*."""
    one = st.builds(
        _plan,
        does=st.sampled_from(["wait"] * 5 + ["complete", "fail", "raise"]),
        after=st.sampled_from([None, None, *range(SECONDS)]),
        last=st.sampled_from(["wait"] * 5 + ["complete", "fail", "raise"]),
        undos=st.integers(0, 3),
        children=children,
    )
    return st.lists(one, max_size=3)


def _plan(does: str, after: int | None, last: str, undos: int, children: list[Any]) -> Any:
    said = plan(does, *children, last=last, undos=[str(n) for n in range(undos)])
    return said if after is None else {**said, "after": after}


FAMILIES = plans(plans(plans(st.just([])))).filter(bool).map(lambda siblings: siblings[0])


@st.composite
def lives(draw: st.DrawFn) -> Trace:
    """Draw a family that lives until its top is cancelled, perhaps twice."""
    times = draw(st.lists(st.integers(0, SECONDS), min_size=1, max_size=2))
    ends = [
        cancel(ROOT, time=_after(seconds), by=f"cancel{number}")
        for number, seconds in enumerate(times)
    ]
    return lived(draw(FAMILIES), *ends)


def _after(seconds: int) -> str:
    return (datetime.fromisoformat(TIME) + timedelta(seconds=seconds)).isoformat()


def cancelled(trace: Trace) -> dict[str, Event[Any]]:
    """Give the runs whose last turn was a cancellation, with its event."""
    return {
        each.commit.record.subject: each.event
        for each in trace.happened
        if isinstance(each, Stepped)
        and each.commit.record is not None
        and each.event.type.endswith(".cancel")
    }


@given(lives())
def test_no_child_of_a_cancelled_workflow_goes_on(trace: Trace) -> None:
    """Each is told once, and those that had told of their end before are not told at all."""
    gone = cancelled(trace)

    note(f"cancelled: {min(len(gone), 5)}")
    assert [
        record
        for record in trace.records.values()
        if record.parent in gone and record.status == "active"
    ] == []
    cancels = [event for event in trace.events if event.type.endswith(".cancel")]
    told = Counter(event.subject for event in cancels if event.source != "com.shop.desk")
    assert set(told.values()) <= {1}
    for event in cancels:
        if event.source != "com.shop.desk":
            assert Cancellation(**event.raw).by == trace.records[event.subject].parent
    assert (trace.violations, trace.unroutable, trace.pending) == ((), (), ())


@given(lives())
def test_everybody_hears_of_an_end_once_and_a_parent_that_cancelled_hears_nothing(
    trace: Trace,
) -> None:
    """Of its own children alone (B22), by one completion or one system error."""
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
            assert gone[run.subject].source == "com.shop.desk"
    ended = [record for record in trace.records.values() if record.status != "active"]
    by_parent = {
        subject for subject, event in gone.items() if event.source.startswith("arvo.orc.family")
    }
    expected = {record.init for record in ended if record.subject not in by_parent}
    heard = {event.parentid for event in ends}
    assert expected <= heard
    silent = {record.init for record in ended} - heard
    assert {by_init[init or ""].subject for init in silent} <= by_parent


@given(lives())
def test_what_was_done_is_undone_last_first_once_and_only_where_it_failed(trace: Trace) -> None:
    """Undos are sent by the commit that ends the workflow as failed or cancelled, and never after
    a completion.
    """
    sent: dict[str, list[str]] = {}
    for event in trace.events:
        if event.type == deed.type:
            sent.setdefault(event.subject, []).append(event.raw["name"])

    for subject, names in sent.items():
        assert trace.records[subject].status in ("failed", "cancelled")
        assert names == sorted(names, reverse=True)
    for record in trace.records.values():
        if record.status == "cancelled":
            assert len(sent.get(record.subject, [])) == len(_plan_of(record)["undos"])
            assert record.compensations == ()


@given(lives())
def test_any_record_leads_to_the_whole_tree(trace: Trace) -> None:
    """Each record of it once."""
    whole = tree(trace.records, ROOT)

    assert {run.subject: run.record for run in whole} == trace.records
    assert len(list(whole)) == len(trace.records)
    assert all(tree(trace.records, subject) == whole for subject in trace.records)


@given(lives())
def test_records_of_a_family_survive_a_trip_through_json(trace: Trace) -> None:
    """Children, timers and undos included."""
    for record in trace.records.values():
        assert Record.from_dict(record.to_dict()) == record


def _plan_of(record: Record) -> dict[str, Any]:
    state: Any = record.state
    said: dict[str, Any] = state["plan"]
    return said

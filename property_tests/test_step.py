"""Laws of the step: it is a pure function, and all its changes are in the commit."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from arvo import Commit, Event, Record, Stamp, System, Trace, decide, run, stamping, step
from arvo.core.commit import PendingTimer
from arvo.core.trace_context import TraceContext, trace_of
from arvo.engine.step.route import ToHandler, route
from arvo.engine.trace import Refused, StepTaken
from arvo.testing import systems
from arvo.testing.strategies.systems import generated_effect

Drawn = tuple[System, Event[Any]]
EFFECTS = {generated_effect: len}
# A drawn workflow may send requests forever, and more of them each time.
STEPS = 60


def _run(system: System, root: Event[Any], records: Mapping[str, Record] | None = None) -> Trace:
    return run(system, root, effects=EFFECTS, records=records, steps_max=STEPS)


def _no_stamp() -> Stamp:
    raise AssertionError("a step asks for a fresh identity")


@pytest.mark.promise("I3")
@given(systems())
def test_the_same_step_makes_the_same_commit(drawn: Drawn) -> None:
    """I3: a redelivery after a crash sends the same events with the same ids."""
    system, root = drawn

    with stamping(_no_stamp):
        first, second = (_run(system, root) for _ in range(2))

    assert first == second
    ids = [event.id for event in first.events]
    assert len(set(ids)) == len(ids)


@pytest.mark.promise("I5")
@given(systems())
def test_a_violation_changes_nothing(drawn: Drawn) -> None:
    """I5: an operator fixes the contract and delivers the same event again."""
    system, root = drawn

    trace = _run(system, root)

    note(f"violations: {min(len(trace.violations), 2)}")
    stepped = [entry for entry in trace.entries if isinstance(entry, StepTaken)]
    refused = [entry for entry in trace.entries if isinstance(entry, Refused)]
    caused = {event.parentid for event in trace.events}
    assert all(entry.event.id not in caused for entry in refused if entry.event is not root)
    records = [entry.commit.record for entry in stepped if entry.commit.record is not None]
    assert trace.records == {record.subject: record for record in records}


@pytest.mark.promise("I10")
@given(systems())
def test_a_step_does_not_change_its_arguments(drawn: Drawn) -> None:
    """I10: an interpreter may store, show or step the same event and record again."""
    system, root = drawn
    trace = _run(system, root)
    for entry in trace.entries:
        before = entry.before if isinstance(entry, StepTaken) else None
        arguments = (entry.event.to_json(), None if before is None else before.to_dict())

        decide(system, entry.event, before, now=_time_of(root), effects=EFFECTS)

        assert (entry.event.to_json(), None if before is None else before.to_dict()) == arguments


# Of the extensions that carry baggage.
NAMES = st.from_regex(r"bg[a-z0-9]{1,4}", fullmatch=True)
TRACES = st.builds(
    TraceContext,
    st.from_regex(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True),
    st.none() | st.from_regex(r"[a-z]{1,9}=[!-+\--<>-~]{1,99}", fullmatch=True),
    st.dictionaries(
        st.from_regex(r"bg[a-z0-9]{1,4}", fullmatch=True),
        st.text("aé\"'\\ ", max_size=9),
        max_size=3,
    ).map(lambda entries: tuple(entries.items())),
)


@pytest.mark.promise("I3")
@given(systems(), TRACES)
def test_a_trace_changes_two_attributes_and_the_baggage_of_what_a_step_emits(
    drawn: Drawn, trace: TraceContext
) -> None:
    """I3: an observed worker and one that is not observed make the same events, ids included."""
    system, root = drawn
    for entry in _run(system, root).entries:
        if not isinstance(entry, StepTaken):
            continue
        cause, now = entry.event, _time_of(root)
        plain = step(system, cause, entry.before, now=now)

        traced = step(system, cause, entry.before, now=now, trace=trace)

        if not isinstance(plain, Success) or not isinstance(plain.unwrap(), Commit):
            assert traced == plain
            continue
        commit = traced.unwrap()
        assert isinstance(commit, Commit)
        sent = [*commit.events, *(timer.event for timer in commit.timers)]
        assert all(_carries(event, trace) for event in sent)
        assert (
            not sent or step(system, cause, entry.before, now=now, trace=trace_of(sent)) == traced
        )
        assert _traced_as(cause, commit) == plain.unwrap()


def _carries(event: Event[Any], trace: TraceContext) -> bool:
    found = trace_of([event])
    assert found is not None
    # It may have been in the event before, and in another order.
    return (found.traceparent, found.tracestate) == (trace.traceparent, trace.tracestate) and set(
        found.baggage
    ) >= set(trace.baggage)


def _traced_as(cause: Event[Any], commit: Commit) -> Commit:
    """Give what a commit emits the trace of its cause."""

    def like_cause(event: Event[Any]) -> Event[Any]:
        return evolve(
            event,
            traceparent=cause.traceparent,
            tracestate=cause.tracestate,
            extensions={
                name: value for name, value in event.extensions.items() if not name.startswith("bg")
            },
        )

    return evolve(
        commit,
        events=tuple(like_cause(event) for event in commit.events),
        timers=tuple(PendingTimer(like_cause(it.event), it.due) for it in commit.timers),
    )


@given(systems())
def test_a_run_is_its_steps_one_by_one(drawn: Drawn) -> None:
    """A test with `run` sees the behaviour of a runtime."""
    system, root = drawn
    records: dict[str, Record] = {}
    commits: list[Commit] = []
    queue = deque([(root, route(system, root, None))])
    taken = 0
    while queue and taken < STEPS:
        event, to = queue.popleft()
        if not isinstance(to, ToHandler):
            continue
        taken += 1
        match decide(
            system, event, records.get(event.subject), now=_time_of(root), effects=EFFECTS
        ):
            case Success(commit):
                commits.append(commit)
                if commit.record is not None:
                    records[commit.record.subject] = commit.record
                queue += [(sent, route(system, sent, event)) for sent in commit.events]
            case _:
                pass

    trace = _run(system, root)

    assert list(trace.commits) == commits
    assert trace.records == records


@given(systems())
def test_a_step_is_the_same_after_a_trip_through_json(drawn: Drawn) -> None:
    """A store and a broker must not change the decision of a handler."""
    system, root = drawn
    trace = _run(system, root)
    for entry in trace.entries:
        if not isinstance(entry, StepTaken):
            continue
        before = entry.before
        stored = None if before is None else _stored(before)
        sent = Event.parse(entry.event.to_json())

        again = decide(system, sent, stored, now=_time_of(root), effects=EFFECTS)

        assert stored == before
        assert again == Success(entry.commit)


@pytest.mark.promise("I2")
@given(systems())
def test_an_event_that_comes_twice_changes_a_workflow_once(drawn: Drawn) -> None:
    """I2, B05: a redelivery that is handled again would act twice."""
    system, root = drawn
    trace = _run(system, root)

    again = _run(system, root, trace.records)

    begun = trace.records.get(root.subject)
    if begun is not None:
        assert again.records == trace.records
        assert [commit.outcome for commit in again.commits] == ["duplicate"]


def _stored(record: Record) -> Record:
    return Record.from_dict(orjson.loads(orjson.dumps(record.to_dict())))


def _time_of(event: Event[Any]) -> datetime:
    return datetime.fromisoformat(event.time)

"""Laws of the step: it is a function, and it changes nothing but what its commit says."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from hypothesis import event as note
from hypothesis import given
from returns.result import Success

from arvo import Commit, Event, Record, Stamp, System, Trace, decide, run, stamping
from arvo.engine.step.route import ToHandler, route
from arvo.engine.trace import Refused, Stepped
from arvo.testing import systems
from arvo.testing.strategies.systems import ask

Drawn = tuple[System, Event[Any]]
EFFECTS = {ask: len}
# A drawn workflow may ask for ever, and ever more at once.
STEPS = 60


def _run(system: System, root: Event[Any], records: Mapping[str, Record] | None = None) -> Trace:
    return run(system, root, effects=EFFECTS, records=records, steps_max=STEPS)


def _no_stamp() -> Stamp:
    raise AssertionError("a step asks for a fresh identity")


@given(systems())
def test_the_same_step_makes_the_same_commit(drawn: Drawn) -> None:
    """I3: a redelivery after a crash sends the same events, with the same ids."""
    system, root = drawn

    with stamping(_no_stamp):
        first, second = (_run(system, root) for _ in range(2))

    assert first == second
    ids = [event.id for event in first.events]
    assert len(set(ids)) == len(ids)


@given(systems())
def test_a_violation_changes_nothing(drawn: Drawn) -> None:
    """I5: the operator mends the contract and delivers the same event again."""
    system, root = drawn

    trace = _run(system, root)

    note(f"violations: {min(len(trace.violations), 2)}")
    stepped = [each for each in trace.happened if isinstance(each, Stepped)]
    refused = [each for each in trace.happened if isinstance(each, Refused)]
    caused = {event.parentid for event in trace.events}
    assert all(each.event.id not in caused for each in refused if each.event is not root)
    records = [each.commit.record for each in stepped if each.commit.record is not None]
    assert trace.records == {record.subject: record for record in records}


@given(systems())
def test_a_step_leaves_its_input_as_it_was(drawn: Drawn) -> None:
    """I10: what a handler was given may be stored, shown or stepped again."""
    system, root = drawn
    trace = _run(system, root)
    for happened in trace.happened:
        before = happened.before if isinstance(happened, Stepped) else None
        said = (happened.event.to_json(), None if before is None else before.to_dict())

        decide(system, happened.event, before, now=_time_of(root), effects=EFFECTS)

        assert (happened.event.to_json(), None if before is None else before.to_dict()) == said


@given(systems())
def test_a_run_is_its_steps_one_by_one(drawn: Drawn) -> None:
    """What a test sees in `run` is what a runtime would do."""
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
                queue += [(each, route(system, each, event)) for each in commit.events]
            case _:
                pass

    trace = _run(system, root)

    assert list(trace.commits) == commits
    assert trace.records == records


@given(systems())
def test_a_step_is_the_same_after_a_trip_through_json(drawn: Drawn) -> None:
    """A store and a broker must not change what a handler decides."""
    system, root = drawn
    trace = _run(system, root)
    for happened in trace.happened:
        if not isinstance(happened, Stepped):
            continue
        before = happened.before
        stored = None if before is None else _stored(before)
        sent = Event.parse(happened.event.to_json())

        again = decide(system, sent, stored, now=_time_of(root), effects=EFFECTS)

        assert stored == before
        assert again == Success(happened.commit)


@given(systems())
def test_an_event_that_comes_twice_changes_a_workflow_once(drawn: Drawn) -> None:
    """I2, B05: what is delivered again is noticed."""
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

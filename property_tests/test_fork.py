"""Laws of forks: a workflow that begins from a turn of another one goes on as that one did."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from attrs import define, field
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st

from arvo import (
    Commands,
    Commit,
    Event,
    Orchestrator,
    Persist,
    Record,
    System,
    TimerFired,
    Trace,
    Turn,
    run,
)
from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.protocol import Cancellation, timer_event_type
from arvo.engine.history.fork import ForkOptions, fork_event, new_request_ids
from arvo.engine.history.replay_turn import calls_between, replay_turn
from arvo.engine.step.step import step_plain
from arvo.engine.system.handler import is_workflow
from property_tests.machines import orchestrators
from property_tests.test_family import family_runs
from property_tests.test_flows import (
    CHOICES,
    PROGRAMS,
    double,
    doubled,
    make_handler,
    run_steps,
)
from property_tests.test_flows import Program as FlowProgram
from property_tests.test_orchestrator import TURNS, MachineRun
from property_tests.test_timers import SCRIPTS, Script, _command
from tests.family import family
from tests.histories import write_history
from tests.shop import NOW, make_workflow, order_request

OPERATOR = "com.test.operator"
# Of a turn or a workflow, modulo the number of them.
PLACES = st.integers(0, 59)


def fork(system: System, commits: Sequence[Commit], at: int) -> Event[Any] | Any:
    """Fork the workflow that has taken these turns."""
    stored = commits[-1].record
    assert stored is not None
    options = ForkOptions(
        at=at, workflow_id="fork-1", source=OPERATOR, now=NOW, after_compensation=True
    )
    return fork_event(system, stored, write_history(*commits), options)


@define
class Twin:
    """A workflow and its fork, which get the same events; *ids* maps those of the first one."""

    system: System
    first: Record
    record: Record
    ids: dict[str, str] = field(factory=dict)

    def take(self, commit: Commit) -> Commit:
        """Give the fork the event of a turn of the first workflow."""
        event, before = commit.event, self.first
        is_timer = event.type == timer_event_type(commit.handler)
        content = {
            **event.to_dict(),
            "subject": self.record.subject,
            "parentid": self.ids.get(event.parentid or "", event.parentid),
        }
        if is_timer:
            content["id"] = self.ids[event.id]
        assert commit.record is not None
        assert commit.now is not None
        taken = replay_turn(
            self.system,
            Event.from_dict(content),
            self.record,
            now=commit.now,
            calls=calls_between(before, commit.record),
            effects={double: doubled},
        )
        assert isinstance(taken, Commit), taken
        self.ids |= {one.id: two.id for one, two in zip(commit.events, taken.events, strict=False)}
        self.ids |= {
            one.event.id: two.event.id for one, two in zip(commit.timers, taken.timers, strict=True)
        }
        self.first, self.record = commit.record, taken.record or self.record
        return taken


def content_of(event: Event[Any]) -> tuple[str, str]:
    """Return what a fork sends too: an event without ids, subjects and addresses."""
    data = {key: value for key, value in event.raw.items() if key not in (PARENT_SUBJECT, "by")}
    return event.type, repr(data)


def state_of(record: Record, ids: Mapping[str, str], dropped: frozenset[str]) -> dict[str, Any]:
    """Return what a fork has in common with the first workflow, with the ids of the fork."""
    return {
        "version": record.version,
        "status": record.status,
        "state": record.state,
        "journal": record.journal,
        "labels": record.labels,
        "failure": None if record.failure is None else record.failure.name,
        "open": [ids.get(id_, id_) for id_ in record.unanswered if id_ not in dropped],
        "replies": [content_of(event) for event in record.replies.events],
        "timers": [
            (name, timer.at, timer.payload, ids.get(timer.id, timer.id))
            for name, timer in record.timers.items()
        ],
    }


def goes_on_as_the_first_one(system: System, commits: Sequence[Commit], at: int) -> int:
    """Fork a workflow at a revision and compare what follows; return how many turns followed."""
    first = commits[at - 1].record
    assert first is not None
    event = fork(system, commits, at)
    if first.status != "active":
        assert not isinstance(event, Event)
        return 0
    assert isinstance(event, Event), event
    begun = step_plain(system, event, None, now=NOW)
    assert isinstance(begun, Commit), begun
    assert begun.record is not None
    handler = system.handler_at(first.handler)
    assert is_workflow(handler)
    sent = {each.id: each for commit in commits[:at] for each in commit.events}
    requests = new_request_ids(handler, first, sent, event.id, event.subject)
    timers = {first.timers[name].id: timer.id for name, timer in begun.record.timers.items()}
    twin = Twin(system, first, begun.record, requests | timers)
    dropped = frozenset(first.unanswered) - frozenset(requests)

    assert [content_of(sent[id_]) for id_ in requests] == list(map(content_of, begun.events))
    assert [each.id for each in begun.events] == list(requests.values())
    assert not {each.id for each in begun.events} & set(sent)
    assert state_of(first, twin.ids, dropped) == state_of(begun.record, {}, frozenset())
    turns = 0
    for commit in commits[at:]:
        data = commit.event.data
        if commit.event.parentid in dropped or (isinstance(data, Cancellation) and data.by):
            break  # what only the first workflow gets
        taken, turns = twin.take(commit), turns + 1
        assert taken.outcome == commit.outcome
        missing = Counter(map(content_of, commit.events))
        missing.subtract(map(content_of, taken.events))
        if twin.first.status in ("failed", "cancelled"):
            # What was done before the fork is undone by the first workflow alone.
            before = [(each["type"], repr(dict(each["data"]))) for each in first.compensations]
            assert +missing == Counter(before)
            assert not -missing
            break
        assert not +missing
        assert not -missing
        assert state_of(twin.first, twin.ids, dropped) == state_of(twin.record, {}, frozenset())
    return turns


def turns_by_workflow(commits: Sequence[Commit]) -> Iterator[list[Commit]]:
    """Yield the turns of each workflow that changed its record."""
    turns: dict[str, list[Commit]] = {}
    for commit in commits:
        if commit.record is not None:
            turns.setdefault(commit.record.subject, []).append(commit)
    yield from turns.values()


@pytest.mark.promise("I3")
@given(family_runs(), PLACES, PLACES)
def test_a_forked_family_goes_on_as_the_first_one(trace: Trace, which: int, at: int) -> None:
    """Children, compensations, failures: the fork does what the first workflow did from there."""
    workflows = list(turns_by_workflow(trace.commits))
    turns = workflows[which % len(workflows)]
    note(f"turns: {min(goes_on_as_the_first_one(family, turns, 1 + at % len(turns)), 3)}")


@pytest.mark.promise("I3", "I7")
@given(SCRIPTS, PLACES)
def test_a_fork_with_timers_goes_on_as_the_first_one(script: Script, at: int) -> None:
    """I7: its timers are its own, due when those of the first workflow were."""

    def function(turn: Turn[Any]) -> Commands:
        if isinstance(turn.event.data, Cancellation):
            return None
        handled = list(turn.state or ())
        fired = turn.event.data
        name = fired.name if isinstance(fired, TimerFired) else type(fired).__name__
        actions = script[len(handled) % len(script)] if len(handled) < 20 else []
        return Persist([*handled, name]), *map(_command, actions)

    system = System([make_workflow(function)])
    trace = run(system, order_request(), now=NOW, steps_max=30)
    [turns] = turns_by_workflow(trace.commits)
    note(f"turns: {min(goes_on_as_the_first_one(system, turns, 1 + at % len(turns)), 3)}")


@pytest.mark.promise("I3")
@given(PROGRAMS, CHOICES, PLACES)
def test_a_forked_flow_goes_on_as_the_first_one(
    program: FlowProgram, choices: list[int], at: int
) -> None:
    """A flow finds the replies to its own requests, and waits for the same things."""
    system = System([make_handler(program)])
    commits = [step.commit for step in run_steps(system, choices) if step.commit.record is not None]
    note(f"turns: {min(goes_on_as_the_first_one(system, commits, 1 + at % len(commits)), 3)}")


@pytest.mark.promise("I3", "I7")
@settings(max_examples=settings().max_examples // 2)
@given(orchestrators(), st.data(), PLACES)
def test_a_forked_machine_goes_on_as_the_first_one(
    orchestrator: Orchestrator[Any], data: st.DataObject, at: int
) -> None:
    """Any chart: with regions, history and timers, whose replies come in any order."""
    machine = MachineRun(System([orchestrator]), data)
    commits: list[Commit] = []
    event: Event[Any] | None = machine.begin()
    for _ in range(TURNS):
        if event is None:
            break
        before, commit = machine.record, machine.step(event)
        if isinstance(commit, Commit) and commit.record not in (None, before):
            commits.append(commit)
        event = machine.next_event()
    statuses = [commit.record.status for commit in commits if commit.record is not None]
    # Most charts end soon, and a fork of one that has ended is refused.
    place = 1 + at % max(1, statuses.count("active"))
    turns = goes_on_as_the_first_one(machine.system, commits, place)
    note(f"turns: {min(turns, 3)}")

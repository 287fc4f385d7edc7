"""Laws of orchestrators: a machine stored as JSON continues like one that stays in memory."""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from attrs import define, field
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from arvo import (
    Commit,
    Event,
    Orchestrator,
    Perform,
    Record,
    Stamp,
    System,
    SystemFault,
    TransactionViolation,
    Violation,
    stamping,
)
from arvo.core.commit import PendingTimer
from arvo.engine.step.step import step_plain
from arvo.handlers.machine.advance import SENDS_MAX
from arvo.statechart import (
    Chart,
    LoopFault,
    Schedule,
    Send,
    Snapshot,
    initial,
    transition,
)
from arvo.statechart import Event as ChartEvent
from arvo.statechart.execution.snapshot import End
from property_tests.machines import Begin, No, Yes, ask, orchestrators, workflow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TURNS = 8


def _no_stamp() -> Stamp:
    raise AssertionError("a step asks for a fresh identity")


@define
class MachineRun:
    """One workflow, and the events that it may still receive, in any order."""

    system: System
    data: st.DataObject
    now: datetime = NOW
    record: Record | None = None
    requests: list[Event[Any]] = field(factory=list)
    timers: list[PendingTimer] = field(factory=list)
    number: int = 0

    def begin(self) -> Event[Any]:
        """Make the first event."""
        return workflow["1.0.0"].init(
            Begin(), source="com.test.client", id="init", time=NOW, subject=SUBJECT
        )

    def next_event(self) -> Event[Any] | None:
        """Draw the next event: a reply, or a timer, perhaps for the second time."""
        choices: list[Any] = [*self.requests[-3:], *self.timers[-4:]]
        if not choices:
            return None
        chosen = self.data.draw(st.sampled_from(choices))
        if isinstance(chosen, PendingTimer):
            early = self.data.draw(st.booleans())
            self.now = max(self.now, chosen.due - timedelta(milliseconds=1 if early else 0))
            return chosen.event
        self.number += 1
        replies: list[Any] = [Yes(self.number), No("no"), SystemFault("Broken", "down")]
        reply = self.data.draw(st.sampled_from(replies))
        contract = ask["1.0.0"]
        options: Any = {
            "source": "com.generated.ask",
            "id": f"a{self.number}",
            "time": NOW,
            "subject": chosen.subject,
            "parentid": chosen.id,
            "to": chosen.redirectto,
        }
        if isinstance(reply, SystemFault):
            return contract.system_error(reply, **options)
        return contract.emits(reply, **options)

    def step(self, event: Event[Any]) -> Commit | Violation:
        """Take a step, and collect the events and timers that it leads to."""
        with stamping(_no_stamp):
            result = step_plain(self.system, event, self.record, now=self.now)
        assert not isinstance(result, Perform)
        if isinstance(result, Commit) and result.record is not None:
            self.record = result.record
            self.requests += result.events
            self.timers += result.timers
        return result


with stamping(lambda: Stamp("run", NOW.isoformat())):
    SUBJECT = workflow["1.0.0"].init(Begin(), source="com.test.client", id="init").subject


@pytest.mark.promise("I3")
@given(orchestrators(), st.data())
def test_a_step_is_a_function_of_what_is_stored(
    orchestrator: Orchestrator[Any], data: st.DataObject
) -> None:
    """I3: after a crash, on another host, from JSON, the commit is the same."""
    workflow_run = MachineRun(System([orchestrator]), data)
    event: Event[Any] | None = workflow_run.begin()
    for _ in range(TURNS):
        if event is None:
            break
        before = workflow_run.record
        result = workflow_run.step(event)

        stored = None if before is None else _stored(before)
        again = step_plain(
            workflow_run.system, Event.parse(event.to_json()), stored, now=workflow_run.now
        )

        assert again == result
        event = workflow_run.next_event()


@given(orchestrators(), st.data())
def test_a_stored_machine_continues_like_one_in_memory(
    orchestrator: Orchestrator[Any], data: st.DataObject
) -> None:
    """The record is complete: state, context, history, and pending timers."""
    workflow_run = MachineRun(System([orchestrator]), data)
    chart = orchestrator.machines["1.0.0"].chart
    in_memory: Snapshot[Any] | None = None
    event: Event[Any] | None = workflow_run.begin()
    for turn in range(TURNS):
        if event is None:
            break
        result = workflow_run.step(event)
        if not isinstance(result, Commit) or result.outcome == "late":
            event = workflow_run.next_event()
            continue
        if in_memory is None:
            in_memory = _run_sends(chart, *initial(chart, event))
        else:
            in_memory = _run_sends(chart, *transition(chart, in_memory, _chart_event(event)))

        record = workflow_run.record
        assert record is not None
        assert (record.status == "failed") == (in_memory.status == "error")
        if record.status != "active":
            note(f"{record.status} in turn {turn}")
            assert record.timers == {} or record.status == "failed"
            break
        assert orchestrator.query(record) == in_memory
        assert len(record.timers) == len(in_memory.timers)
        event = workflow_run.next_event()


def _chart_event(event: Event[Any]) -> object:
    """Return the event for the chart in memory; for a timer, the value that the chart started."""
    match event.raw.get("payload"):
        case {"statechart": "raise", "id": id_, "delay_ms": delay, "event": data}:
            return Schedule(ChartEvent(data["type"], data["data"]), delay, id_)
        case _:
            return _read(event)


def _read(event: Event[Any]) -> Event[Any]:
    """Read the payload of an event, as the step does before the machine receives it."""
    payload = {**ask["1.0.0"].emitted}.get(event.type)
    return event if payload is None else event.with_payload(payload.read(event.raw), event.raw)


def _run_sends(chart: Chart[Any], snapshot: Snapshot[Any], commands: Any) -> Snapshot[Any]:
    """Process the events that the chart sends itself without a delay."""
    sent = deque(command.event for command in commands if isinstance(command, Send))
    for _ in range(SENDS_MAX):
        if not sent or snapshot.end is not None:
            return snapshot
        snapshot, commands = transition(chart, snapshot, sent.popleft())
        sent += (command.event for command in commands if isinstance(command, Send))
    fault = LoopFault("send", SENDS_MAX, ())
    return Snapshot(snapshot.configuration, snapshot.context, snapshot.memory, End(fault=fault))


@pytest.mark.promise("I7")
@given(orchestrators(), st.data())
def test_a_timer_fires_once_and_not_early(
    orchestrator: Orchestrator[Any], data: st.DataObject
) -> None:
    """I7: replies and timers may come in any order, and more than once."""
    workflow_run = MachineRun(System([orchestrator]), data)
    fired: list[str] = []
    event: Event[Any] | None = workflow_run.begin()
    for _ in range(TURNS):
        if event is None:
            break
        before = workflow_run.record
        result = workflow_run.step(event)
        if isinstance(event.data, Mapping) and "at" in event.data:
            at = datetime.fromisoformat(event.data["at"])
            if isinstance(result, TransactionViolation):
                note("early")
                assert workflow_run.now < at
                assert workflow_run.record is before
            elif isinstance(result, Commit) and result.outcome not in ("late", "workflow_failed"):
                note("fires")
                assert workflow_run.now >= at
                fired.append(event.id)
        event = workflow_run.next_event()

    assert len(set(fired)) == len(fired)


def _stored(record: Record) -> Record:
    return Record.from_dict(orjson.loads(orjson.dumps(record.to_dict())))

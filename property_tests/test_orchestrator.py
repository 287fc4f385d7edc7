"""Laws of orchestrators: a machine that sleeps as JSON goes on as one that never slept."""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
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
from arvo.engine.step.step import take
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
from arvo.statechart.execution.snapshot import Ended
from property_tests.machines import Begin, No, Yes, ask, orchestrators, workflow

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TURNS = 8


def _no_stamp() -> Stamp:
    raise AssertionError("a step asks for a fresh identity")


@define
class _Life:
    """One workflow, and everything that may still come to it, in whatever order."""

    system: System
    data: st.DataObject
    now: datetime = NOW
    record: Record | None = None
    asked: list[Event[Any]] = field(factory=list)
    alarms: list[PendingTimer] = field(factory=list)
    number: int = 0

    def begin(self) -> Event[Any]:
        """Make the first event."""
        return workflow["1.0.0"].init(
            Begin(), source="com.test.client", id="init", time=NOW, subject=SUBJECT
        )

    def following(self) -> Event[Any] | None:
        """Draw what comes next: an answer, or an alarm, perhaps for the second time."""
        choices: list[Any] = [*self.asked[-3:], *self.alarms[-4:]]
        if not choices:
            return None
        chosen = self.data.draw(st.sampled_from(choices))
        if isinstance(chosen, PendingTimer):
            early = self.data.draw(st.booleans())
            self.now = max(self.now, chosen.due - timedelta(milliseconds=1 if early else 0))
            return chosen.event
        self.number += 1
        answers: list[Any] = [Yes(self.number), No("no"), SystemFault("Broken", "down")]
        answer = self.data.draw(st.sampled_from(answers))
        contract = ask["1.0.0"]
        envelope: Any = {
            "source": "com.generated.ask",
            "id": f"a{self.number}",
            "time": NOW,
            "subject": chosen.subject,
            "parentid": chosen.id,
            "to": chosen.redirectto,
        }
        if isinstance(answer, SystemFault):
            return contract.system_error(answer, **envelope)
        return contract.emits(answer, **envelope)

    def take(self, event: Event[Any]) -> Commit | Violation:
        """Take a step, and remember what it leads to."""
        with stamping(_no_stamp):
            taken = take(self.system, event, self.record, now=self.now)
        assert not isinstance(taken, Perform)
        if isinstance(taken, Commit) and taken.record is not None:
            self.record = taken.record
            self.asked += taken.events
            self.alarms += taken.timers
        return taken


with stamping(lambda: Stamp("run", NOW.isoformat())):
    SUBJECT = workflow["1.0.0"].init(Begin(), source="com.test.client", id="init").subject


@given(orchestrators(), st.data())
def test_a_step_is_a_function_of_what_is_stored(
    orchestrator: Orchestrator[Any], data: st.DataObject
) -> None:
    """I3: after a crash, on another machine, from JSON: the same commit."""
    life = _Life(System([orchestrator]), data)
    event: Event[Any] | None = life.begin()
    for _ in range(TURNS):
        if event is None:
            break
        before = life.record
        taken = life.take(event)

        stored = None if before is None else _stored(before)
        again = take(life.system, Event.parse(event.to_json()), stored, now=life.now)

        assert again == taken
        event = life.following()


@given(orchestrators(), st.data())
def test_a_machine_that_slept_goes_on_as_one_that_did_not(
    orchestrator: Orchestrator[Any], data: st.DataObject
) -> None:
    """The record is the whole of it: state, context, history, and the timers that are pending."""
    life = _Life(System([orchestrator]), data)
    chart = orchestrator.machines["1.0.0"].chart
    awake: Snapshot[Any] | None = None
    event: Event[Any] | None = life.begin()
    for turn in range(TURNS):
        if event is None:
            break
        taken = life.take(event)
        if not isinstance(taken, Commit) or taken.outcome == "late":
            event = life.following()
            continue
        if awake is None:
            awake = _settled(chart, *initial(chart, event))
        else:
            awake = _settled(chart, *transition(chart, awake, _heard(event)))

        record = life.record
        assert record is not None
        assert (record.status == "failed") == (awake.status == "error")
        if record.status != "active":
            note(f"{record.status} in turn {turn}")
            assert record.timers == {} or record.status == "failed"
            break
        assert orchestrator.query(record) == awake
        assert len(record.timers) == len(awake.timers)
        event = life.following()


def _heard(event: Event[Any]) -> object:
    """Say what a machine that is awake hears: the very timer that it set."""
    match event.raw.get("payload"):
        case {"statechart": "raise", "id": id_, "delay_ms": delay, "event": said}:
            return Schedule(ChartEvent(said["type"], said["data"]), delay, id_)
        case _:
            return _read(event)


def _read(event: Event[Any]) -> Event[Any]:
    """Read an event's payload, as the step does before the machine sees it."""
    payload = {**ask["1.0.0"].emitted}.get(event.type)
    return event if payload is None else event.carrying(payload.read(event.raw), event.raw)


def _settled(chart: Chart[Any], snapshot: Snapshot[Any], commands: Any) -> Snapshot[Any]:
    """Take what the chart sends itself at once."""
    sent = deque(each.event for each in commands if isinstance(each, Send))
    for _ in range(SENDS_MAX):
        if not sent or snapshot.end is not None:
            return snapshot
        snapshot, commands = transition(chart, snapshot, sent.popleft())
        sent += (each.event for each in commands if isinstance(each, Send))
    fault = LoopFault("send", SENDS_MAX, ())
    return Snapshot(snapshot.configuration, snapshot.context, snapshot.past, Ended(fault=fault))


@given(orchestrators(), st.data())
def test_a_timer_fires_once_and_not_early(
    orchestrator: Orchestrator[Any], data: st.DataObject
) -> None:
    """I7: whatever order answers and alarms come in, and however often."""
    life = _Life(System([orchestrator]), data)
    fired: list[str] = []
    event: Event[Any] | None = life.begin()
    for _ in range(TURNS):
        if event is None:
            break
        before = life.record
        taken = life.take(event)
        if isinstance(event.data, Mapping) and "at" in event.data:
            at = datetime.fromisoformat(event.data["at"])
            if isinstance(taken, TransactionViolation):
                note("early")
                assert life.now < at
                assert life.record is before
            elif isinstance(taken, Commit) and taken.outcome not in ("late", "workflow_failed"):
                note("fires")
                assert life.now >= at
                fired.append(event.id)
        event = life.following()

    assert len(set(fired)) == len(fired)


def _stored(record: Record) -> Record:
    return Record.from_dict(orjson.loads(orjson.dumps(record.to_dict())))

"""Run: execute a whole system as one pure function, in virtual time."""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from attrs import define, field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.digest import content_digest
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.arguments import check_argument
from arvo.engine.step.decide import decide_plain
from arvo.engine.step.doors import find_id_conflict, is_from_handler, refuse_reused_id
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.step.route import Route, ToHandler, route
from arvo.engine.system.system import System, require_system
from arvo.engine.trace import Refused, StepTaken, Trace, TraceEntry
from arvo.handlers.effect import EffectTable

# Far more steps than a workflow takes; two handlers that answer each other forever reach it soon.
STEPS_MAX: Final = 10_000


def run(
    system: System,
    event: Event[Any],
    *more: Event[Any],
    effects: EffectTable | None = None,
    records: Mapping[str, Record] | None = None,
    now: datetime | None = None,
    until: datetime | None = None,
    steps_max: int = STEPS_MAX,
) -> Trace:
    """Deliver *event* and all events that follow from it, in order, until the system is idle.

    Time is virtual. It starts at *now*, by default the time of *event*, and does not move while
    there are events to deliver; then it moves to the next timer, up to *until*. *more*: events from
    outside (signals, cancellations), each delivered at its own time. *effects* maps each function
    that a handler names in `call` to the function to call instead; the run is pure if those
    functions are. *records*: the workflows that exist beforehand, by subject; their timers run too.
    After *steps_max* steps, all other events are left in `Trace.pending`. Events for handlers in
    other processes (`System(remote=)`) are in `Trace.remote`.
    """
    require_system(system, "run")
    for given in (event, *more):
        check_argument("event", given, Event, "an Event", of="run")
    state = _Run(system, dict(records or {}), effects or {}, now or _time_of(event))
    for record in state.records.values():
        state.schedule_timers(record)
    state.send(event, None)
    for other in more:
        state.schedule_event(other)
    while len(state.entries) < steps_max and state.advance(until):
        pass
    return Trace(
        root=event,
        entries=tuple(state.entries),
        sent=tuple(state.sent),
        records=state.records,
        pending=state.pending(until),
        now=state.now,
        remote=tuple(event for event, to in state.sent if _is_remote(system, to)),
    )


def _is_remote(system: System, to: Route) -> bool:
    return isinstance(to, ToHandler) and system.is_elsewhere(to.address)


def _time_of(event: Event[Any]) -> datetime:
    return datetime.fromisoformat(event.time)


@frozen(order=True)
class _ScheduledEvent:
    """An event with its time of delivery; events of one time are ordered by *number*."""

    at: datetime
    number: int
    event: Event[Any] = field(order=False)
    outside: bool = field(order=False, default=False)


@define
class _Run:
    """A run in progress: records, events to deliver now, and events scheduled for later."""

    system: System
    records: dict[str, Record]
    effects: EffectTable
    now: datetime
    queue: deque[tuple[Event[Any], Route]] = field(factory=deque)
    schedule: list[_ScheduledEvent] = field(factory=list)
    sent: list[tuple[Event[Any], Route]] = field(factory=list)
    entries: list[TraceEntry] = field(factory=list)
    _seen: dict[tuple[str, str, str, str], Event[Any]] = field(factory=dict)
    _numbers: Iterator[int] = field(factory=count)

    def advance(self, until: datetime | None) -> bool:
        """Deliver the next event, or move time forward; return False when the run is complete."""
        if self.queue:
            self._deliver(*self.queue.popleft())
            return True
        while self.schedule:
            if until is not None and self.schedule[0].at > until:
                return False
            following = heappop(self.schedule)
            if self._is_current(following):
                self.now = max(self.now, following.at)
                self.send(following.event, None)
                return True
        return False

    def pending(self, until: datetime | None) -> tuple[Event[Any], ...]:
        """Return the events that are still to deliver, up to *until* where it is given."""
        pending = [
            event
            for event, to in self.queue
            if isinstance(to, ToHandler) and not _is_remote(self.system, to)
        ]
        pending += (
            scheduled.event
            for scheduled in sorted(self.schedule)
            if self._is_current(scheduled) and (until is None or scheduled.at <= until)
        )
        return tuple(pending)

    def send(self, event: Event[Any], cause: Event[Any] | None) -> None:
        """Route an event and queue it."""
        self.sent.append((event, route(self.system, event, cause)))
        self.queue.append(self.sent[-1])

    def schedule_event(self, event: Event[Any]) -> None:
        """Schedule an event from outside for its own time."""
        scheduled = _ScheduledEvent(_time_of(event), next(self._numbers), event, outside=True)
        heappush(self.schedule, scheduled)

    def schedule_timers(self, record: Record) -> None:
        """Schedule the pending timers of a record that existed before the run."""
        if record.status == "active":
            for timer in pending_timers(self.system, record):
                self._schedule(timer)

    def _schedule(self, timer: PendingTimer) -> None:
        heappush(self.schedule, _ScheduledEvent(timer.due, next(self._numbers), timer.event))

    def _is_current(self, scheduled: _ScheduledEvent) -> bool:
        """Return False for a timer that was cancelled or rescheduled meanwhile."""
        record = self.records.get(scheduled.event.subject)
        return scheduled.outside or (
            record is not None
            and record.status == "active"
            and any(timer.id == scheduled.event.id for timer in record.timers.values())
        )

    def _deliver(self, event: Event[Any], destination: Route) -> None:
        if not isinstance(destination, ToHandler) or _is_remote(self.system, destination):
            return
        identity = (destination.address, event.source, event.id, event.subject)
        before = self.records.get(event.subject)
        if identity in self._seen:
            self._refuse_other(event, self._seen[identity], before)
            return
        outcome = decide_plain(self.system, event, before, now=self.now, effects=self.effects)
        if not isinstance(outcome, Commit):
            self.entries.append(Refused(event, outcome))
            return
        self._seen[identity] = event
        self.entries.append(StepTaken(event, before, outcome))
        if outcome.record is not None:
            self.records[outcome.record.subject] = outcome.record
        for sent in outcome.events:
            self.send(sent, event)
        for timer in outcome.timers:
            self._schedule(timer)

    def _refuse_other(self, event: Event[Any], consumed: Event[Any], record: Record | None) -> None:
        """Refuse an event from outside with the id of another one; the same one changes nothing."""
        is_same = event is consumed or content_digest(event) == content_digest(consumed)
        if is_same or is_from_handler(self.system, event):
            return
        conflict = None if record is None else find_id_conflict(record, event)
        self.entries.append(Refused(event, conflict or refuse_reused_id(event)))

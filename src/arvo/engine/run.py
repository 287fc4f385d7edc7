"""Run: a whole system as one function."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final

from attrs import define, field, frozen

from arvo.core.commit import Commit, PendingTimer
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.engine.step.decide import settle
from arvo.engine.step.event_factory import alarms_of
from arvo.engine.step.route import Route, ToHandler, route
from arvo.engine.system.system import System
from arvo.engine.trace import Happened, Refused, Stepped, Trace

# Far more than a workflow takes, and soon reached by two handlers that answer each other for ever.
STEPS_MAX: Final = 10_000


def run(
    system: System,
    event: Event[Any],
    *more: Event[Any],
    effects: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
    records: Mapping[str, Record] | None = None,
    now: datetime | None = None,
    until: datetime | None = None,
    steps_max: int = STEPS_MAX,
) -> Trace:
    """Deliver *event* and all that follows from it, first in, first out, until the system rests.

    Time is virtual: it stands still while there is anything to deliver, and then moves on to the
    next timer, as far as *until*. It begins at *now*, by default the time of *event*. *more* are
    events from outside (signals, cancellations) that come at their own time. Pure, where the
    functions in *effects* are: they map what a handler names in `call` to what is to be called
    instead. *records* is what workflows remember beforehand, by subject; their timers run on. After
    *steps_max* steps the rest is `pending`.
    """
    walk = _Walk(system, dict(records or {}), effects or {}, now or _time_of(event))
    for record in walk.records.values():
        walk.expect(record)
    walk.send(event, None)
    for other in more:
        walk.arrive(other)
    while len(walk.happened) < steps_max and walk.proceed(until):
        pass
    return Trace(
        root=event,
        happened=tuple(walk.happened),
        sent=tuple(walk.sent),
        records=walk.records,
        pending=walk.pending(until),
        now=walk.now,
    )


def _time_of(event: Event[Any]) -> datetime:
    return datetime.fromisoformat(event.time)


@frozen(order=True)
class _Appointment:
    """An event to be delivered at a time; of one time, in the order they were made."""

    at: datetime
    number: int
    event: Event[Any] = field(order=False)
    outside: bool = field(order=False, default=False)


@define
class _Walk:
    """A run under way: what is remembered, what waits now, and what waits for its time."""

    system: System
    records: dict[str, Record]
    effects: Mapping[Callable[..., Any], Callable[..., Any]]
    now: datetime
    queue: deque[tuple[Event[Any], Route]] = field(factory=deque)
    agenda: list[_Appointment] = field(factory=list)
    sent: list[tuple[Event[Any], Route]] = field(factory=list)
    happened: list[Happened] = field(factory=list)
    _seen: set[tuple[str, str, str, str]] = field(factory=set)
    _numbers: Iterator[int] = field(factory=count)

    def proceed(self, until: datetime | None) -> bool:
        """Deliver the next event, or let time pass; False when there is nothing left to do."""
        if self.queue:
            self._deliver(*self.queue.popleft())
            return True
        while self.agenda:
            if until is not None and self.agenda[0].at > until:
                return False
            following = heappop(self.agenda)
            if self._stands(following):
                self.now = max(self.now, following.at)
                self.send(following.event, None)
                return True
        return False

    def pending(self, until: datetime | None) -> tuple[Event[Any], ...]:
        """Give what is still to be delivered, by *until* where that is given."""
        waiting = [event for event, where in self.queue if isinstance(where, ToHandler)]
        waiting += (
            each.event
            for each in sorted(self.agenda)
            if self._stands(each) and (until is None or each.at <= until)
        )
        return tuple(waiting)

    def send(self, event: Event[Any], cause: Event[Any] | None) -> None:
        """Put an event on its way."""
        self.sent.append((event, route(self.system, event, cause)))
        self.queue.append(self.sent[-1])

    def arrive(self, event: Event[Any]) -> None:
        """Put down an event that comes from outside at its own time."""
        appointment = _Appointment(_time_of(event), next(self._numbers), event, outside=True)
        heappush(self.agenda, appointment)

    def expect(self, record: Record) -> None:
        """Put down the timers that a record from before waits for."""
        if record.status == "active":
            for timer in alarms_of(self.system, record):
                self._appoint(timer)

    def _appoint(self, timer: PendingTimer) -> None:
        heappush(self.agenda, _Appointment(timer.due, next(self._numbers), timer.event))

    def _stands(self, appointment: _Appointment) -> bool:
        """Tell whether it still matters: a timer may have been cancelled or set anew."""
        record = self.records.get(appointment.event.subject)
        return appointment.outside or (
            record is not None
            and record.status == "active"
            and any(timer.id == appointment.event.id for timer in record.timers.values())
        )

    def _deliver(self, event: Event[Any], destination: Route) -> None:
        if not isinstance(destination, ToHandler):
            return
        identity = (destination.address, event.source, event.id, event.subject)
        if identity in self._seen:
            return
        before = self.records.get(event.subject)
        outcome = settle(self.system, event, before, now=self.now, effects=self.effects)
        if not isinstance(outcome, Commit):
            self.happened.append(Refused(event, outcome))
            return
        self._seen.add(identity)
        self.happened.append(Stepped(event, before, outcome))
        if outcome.record is not None:
            self.records[outcome.record.subject] = outcome.record
        for each in outcome.events:
            self.send(each, event)
        for timer in outcome.timers:
            self._appoint(timer)

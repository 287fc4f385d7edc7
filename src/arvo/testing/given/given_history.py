"""Past: a handler's history so far, and the events that may come next."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias, final

from attrs import define, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.cancellation import Cancellation
from arvo.core.events.event import Event
from arvo.core.events.fault import SystemFault
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import EMPTY
from arvo.core.payloads.json import freeze
from arvo.core.record import Record
from arvo.core.violations.issue import Issues, short
from arvo.engine.step.decide import settle
from arvo.engine.step.event_factory import alarms_of
from arvo.engine.system.system import Handler, System, WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.resumable import Resumable
from arvo.testing.given.code import code
from arvo.testing.given.commands_of import Effects
from arvo.testing.strategies.strategies import CLIENT, TIME

# An event, the payload of one, or time that passes.
Said: TypeAlias = Event[Any] | timedelta | object


@final
@define
class Past:
    """What happened to a handler so far: its record, what it asked, the timers that it set."""

    handler: Handler
    effects: Effects
    version: str
    now: datetime
    record: Record | None = None
    asked: list[Event[Any]] = field(factory=list)
    alarms: list[PendingTimer] = field(factory=list)
    number: int = 0

    def stand(self, record: Record | None, state: object) -> None:
        """Begin with a record, or with what a resumable remembers."""
        if isinstance(self.handler, EventHandler):
            raise TypeError(f"{self.handler.source} is no workflow: it remembers nothing")
        self.record = record or _remembering(self.handler, self.version, state)
        self.alarms = list(alarms_of(System([self.handler]), self.record))

    def live(self, said: Said) -> None:
        """Take a turn that must succeed."""
        event = self.event_of(said)
        settled = settle(
            System([self.handler]), event, self.record, now=self.now, effects=self.effects
        )
        assert isinstance(settled, Commit), f"given {code(event.data)}: it is refused: {settled}"
        self.record = settled.record or self.record
        self.asked += settled.events
        self.alarms = [
            each for each in self.alarms if each.event.id not in (*settled.cleared_timers, event.id)
        ]
        self.alarms += settled.timers

    def event_of(self, said: Said) -> Event[Any]:
        """Make the event that says *said*, as it would come."""
        if isinstance(said, Event):
            return said
        self.number += 1
        with stamping(lambda: Stamp(f"event-{self.number}", TIME)):
            if isinstance(said, timedelta):
                return self._after(said)
            if isinstance(self.handler, EventHandler) or self.record is None:
                return self._first(said)
            return self._next(self.handler, self.record, said)

    def _after(self, span: timedelta) -> Event[Any]:
        """Let time pass to the last timer that is due by then; those before it fire on the way."""
        until = self.now + span
        due = sorted((each for each in self.alarms if each.due <= until), key=lambda a: a.due)
        if not due:
            times = ", ".join(str(each.due - self.now) for each in self.alarms) or "none is set"
            raise AssertionError(f"no timer is due after {span} (due after: {times})")
        for timer in due[:-1]:
            self.now = timer.due
            self.live(timer.event)
        self.now = until
        return due[-1].event

    def _first(self, said: object) -> Event[Any]:
        contract = self.handler.contract
        versions = [contract.version(self.version), *contract.versions.values()]
        for version in versions:
            if version.accepted.type in (type(said), *_mapping(said)):
                return version.accepts(said, source=CLIENT)
        raise self._unknown(said, [each.accepted.name for each in versions[1:]])

    def _next(self, handler: WorkflowHandler, record: Record, said: object) -> Event[Any]:
        if isinstance(said, Cancellation):
            contract: Any = handler.contract.version(record.version)
            cancel: Event[Any] = contract.cancel(said.reason, source=CLIENT, subject=record.subject)
            return cancel
        services = handler.services_of(record.version)
        for service, name in _answers(services, said):
            request = self._request(record, service)
            if request is not None:
                return self._reply(handler, record, service, name, said, request)
        for signal in handler.signals_of(record.version):
            if signal.accepted.type in (type(said), *_mapping(said)):
                return signal.accepts(
                    said, source=CLIENT, subject=record.subject, to=handler.source
                )
        open_ = [each.type for each in self.asked if each.id in record.unanswered]
        raise self._unknown(said, [f"an answer to {each}" for each in open_])

    def _request(self, record: Record, service: VersionedContract[Any]) -> str | None:
        """Find the oldest open request to a service; of an unknown history, any that is open."""
        for event in self.asked:
            if event.type == service.type and event.id in record.unanswered:
                return event.id
        known = {event.id for event in self.asked}
        others = [id_ for id_ in record.unanswered if id_ not in known]
        if others:
            return others[0]
        # A state was given and no history: whatever it asked for is taken on trust.
        return "request" if not record.pending_requests and not self.asked else None

    def _reply(
        self,
        handler: WorkflowHandler,
        record: Record,
        service: VersionedContract[Any],
        name: str,
        said: Any,
        request: str,
    ) -> Event[Any]:
        envelope: Any = {
            "source": service.type,
            "subject": record.subject,
            "parentid": request,
            "to": handler.source,
        }
        if isinstance(said, SystemFault):
            return service.system_error(said, **envelope)
        return service.emits(said, type=name, **envelope)

    def _unknown(self, said: object, known: list[str]) -> TypeError:
        can = ", ".join(known) or "nothing"
        return TypeError(f"{self.handler.source} waits for {can}, not {short(said)}: pass an Event")


def _mapping(said: object) -> tuple[None, ...]:
    return (None,) if isinstance(said, Mapping) else ()


def _answers(
    services: tuple[VersionedContract[Any], ...], said: object
) -> Iterator[tuple[VersionedContract[Any], str]]:
    for service in services:
        if isinstance(said, SystemFault):
            yield service, service.system_error_type
        for name, payload in service.emitted.items():
            if payload.type in (type(said), *_mapping(said)):
                yield service, name


def _remembering(handler: WorkflowHandler, version: str, state: object) -> Record:
    """Make the record of a run that remembers *state*, and whose first turn is over."""
    if not isinstance(handler, Resumable):
        raise TypeError(f"{handler.source} is no resumable: give its history by after=")
    contract = handler.contract.version(version)
    written = state if handler.state is None else handler.state.write(state, path="state")
    frozen = written if isinstance(written, Issues) else freeze(written, "state")
    if isinstance(frozen, Issues):
        raise TypeError(f"{handler.source} cannot remember this: {frozen}")
    subject = Subject.new(handler.source, contract.version, initiator=CLIENT, id="event-0")
    return Record(
        subject=str(subject),
        handler=handler.source,
        version=contract.version,
        revision=1,
        status="active",
        init="event-0",
        state=frozen,
        pending_requests=EMPTY,
        consumed="event-0",
    )

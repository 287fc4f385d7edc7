"""Given history: the turns that a handler has taken so far, and the events that may come next."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias, final

from attrs import define, field

from arvo.core.commit import Commit, PendingTimer
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.events.protocol import Cancellation, SystemFault
from arvo.core.events.stamp import Stamp, stamping
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import freeze
from arvo.core.payloads.payload import Payload
from arvo.core.record import Record
from arvo.core.requests import SentRequest
from arvo.core.violations.issue import Issues, short_repr
from arvo.engine.step.decide import decide_plain
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.system.handler import Handler, WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable
from arvo.handlers.resumable import Resumable
from arvo.testing.given.code import to_code
from arvo.testing.strategies.strategies import CLIENT, TIME

# An event, the payload of an event, or a span of time that passes.
Stimulus: TypeAlias = Event[Any] | timedelta | object


@final
@define
class GivenHistory:
    """A handler's history so far: its record, and the timers it set."""

    handler: Handler
    effects: EffectTable
    version: str
    now: datetime
    record: Record | None = None
    timers: list[PendingTimer] = field(factory=list)
    event_count: int = 0

    def start_from(self, record: Record | None, state: object) -> None:
        """Start with *record*, or with a record that holds the *state* of a resumable."""
        if not is_workflow(self.handler):
            raise TypeError(f"{self.handler.source} is an event handler: it has no state or record")
        self.record = record or _record_with_state(self.handler, self.version, state)
        self.timers = list(pending_timers(System([self.handler]), self.record))

    def apply(self, stimulus: Stimulus) -> None:
        """Take one turn; raises AssertionError if the event is refused."""
        event = self.make_event(stimulus)
        result = decide_plain(
            System([self.handler]), event, self.record, now=self.now, effects=self.effects
        )
        assert isinstance(result, Commit), f"given {to_code(event.data)}: refused: {result}"
        self.record = result.record or self.record
        over = {*result.cleared_timers, event.id}
        self.timers = [timer for timer in self.timers if timer.event.id not in over]
        self.timers += result.timers

    def make_event(self, stimulus: Stimulus) -> Event[Any]:
        """Return the event of *stimulus*, addressed as it would be in production."""
        if isinstance(stimulus, Event):
            return stimulus
        self.event_count += 1
        with stamping(lambda: Stamp(f"event-{self.event_count}", TIME)):
            if isinstance(stimulus, timedelta):
                return self._pass_time(stimulus)
            if not is_workflow(self.handler) or self.record is None:
                return self._make_initial_event(stimulus)
            return self._make_next_event(self.handler, self.record, stimulus)

    def _pass_time(self, span: timedelta) -> Event[Any]:
        """Return the event of the last timer that is due within *span*; earlier timers fire."""
        until = self.now + span
        due = sorted(
            (timer for timer in self.timers if timer.due <= until), key=lambda timer: timer.due
        )
        if not due:
            times = ", ".join(str(timer.due - self.now) for timer in self.timers) or "none is set"
            raise AssertionError(f"no timer is due after {span} (due after: {times})")
        for timer in due[:-1]:
            self.now = timer.due
            self.apply(timer.event)
        self.now = until
        return due[-1].event

    def _make_initial_event(self, payload: object) -> Event[Any]:
        contract = self.handler.contract
        versions = [contract.version(self.version), *contract.versions.values()]
        for version in versions:
            if _carries(version.accepted, payload):
                return version.accepts(payload, source=CLIENT)
        raise self._unexpected(payload, [version.accepted.name for version in versions[1:]])

    def _make_next_event(
        self, handler: WorkflowHandler, record: Record, payload: object
    ) -> Event[Any]:
        if isinstance(payload, Cancellation):
            contract: Any = handler.contract.version(record.version)
            cancel: Event[Any] = contract.cancel(
                payload.reason, source=CLIENT, subject=record.subject
            )
            return cancel
        services = handler.services_of(record.version)
        for service, event_type in _matching_replies(services, payload):
            request_id = _find_open_request(record, service)
            if request_id is not None:
                options: Any = {
                    "source": service.type,
                    "subject": record.subject,
                    "parentid": request_id,
                    "to": handler.source,
                }
                if isinstance(payload, SystemFault):
                    return service.system_error(payload, **options)
                return service.emits(payload, type=event_type, **options)
        for signal in handler.signals_of(record.version):
            if _carries(signal.accepted, payload):
                return signal.accepts(
                    payload, source=CLIENT, subject=record.subject, to=handler.source
                )
        open_types = [record.pending_requests[id_].type for id_ in record.unanswered]
        raise self._unexpected(payload, [f"a reply to {type_}" for type_ in open_types])

    def _unexpected(self, payload: object, expected: list[str]) -> TypeError:
        names = ", ".join(expected) or "nothing"
        return TypeError(
            f"{self.handler.source} waits for {names}, not {short_repr(payload)}: pass an Event"
        )


def _find_open_request(record: Record, service: VersionedContract[Any]) -> str | None:
    """Return the id of the oldest open request to *service*."""
    asked = service.dataschema
    requests = record.pending_requests
    return next((id_ for id_ in record.unanswered if requests[id_].dataschema == asked), None)


def _carries(declared: Payload[Any], payload: object) -> bool:
    if not declared.types:
        return isinstance(payload, Mapping)
    return type(payload) in declared.instance_types


def _matching_replies(
    services: tuple[VersionedContract[Any], ...], payload: object
) -> Iterator[tuple[VersionedContract[Any], str]]:
    """Yield the services that may reply with *payload*, with the event type of the reply."""
    for service in services:
        if isinstance(payload, SystemFault):
            yield service, service.system_error_type
        for event_type, emitted in service.emitted.items():
            if _carries(emitted, payload):
                yield service, event_type


def _record_with_state(handler: WorkflowHandler, version: str, state: object) -> Record:
    """Return the record of an active run that has persisted *state*.

    It has sent a request to each of its services, as there is no history that says to which.
    """
    if not isinstance(handler, Resumable):
        raise TypeError(f"{handler.source} is not a resumable: pass its history as after=[...]")
    contract = handler.contract.version(version)
    written = state if handler.state is None else handler.state.write(state, path="state")
    frozen = written if isinstance(written, Issues) else freeze(written, "state")
    if isinstance(frozen, Issues):
        raise TypeError(f"{handler.source} cannot persist this state: {frozen}")
    subject = Subject.new(handler.source, contract.version, initiator=CLIENT, id="event-0")
    return Record(
        subject=str(subject),
        handler=handler.source,
        version=contract.version,
        revision=1,
        status="active",
        init="event-0",
        state=frozen,
        pending_requests=FrozenDict(
            {
                f"request-{service.type}": SentRequest(
                    service.type, service.type, service.dataschema
                )
                for service in handler.services_of(contract.version)
            }
        ),
        consumed="event-0",
    )

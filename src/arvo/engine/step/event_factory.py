"""Event factory: make events from drafts, with the ids, subjects and domains of a step."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.commit import PendingTimer
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import serialise_payload
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.domain import DomainContext, resolve_domains, resolve_rules
from arvo.core.events.event import Event
from arvo.core.events.identity import derived_id, event_id
from arvo.core.events.protocol import Timer, timer_event_type
from arvo.core.events.subject import Subject
from arvo.core.events.uri import encode_uri
from arvo.core.events.wire import Wire
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.step.draft import Child, Draft
from arvo.engine.system.system import System


@final
@frozen
class EventFactory:
    """Makes the events of one handler that follow from one consumed event, at one time.

    *cause*: the consumed event. *domain*: the domain of the handler's contract. *parent*: the
    subject of the parent workflow. *revivals*: how often the workflow was revived.
    """

    handler: str
    cause: Event[Any]
    domain: str | None
    parent: str | None
    executionunits: float
    now: datetime
    revivals: int = 0

    def make(self, draft: Draft, position: int) -> tuple[Event[Any], ...]:
        """Make the events of a draft. Raises `Violated` for an invalid field or payload."""
        name = f"{draft.type} of {draft.dataschema}"
        data, raw = serialise_payload(draft.payload, draft.value, draft.extra, name)
        cause = self.cause
        context = DomainContext(
            self.domain, draft.event_domain, cause.domain, cause.subject, self.parent
        )
        resolve = resolve_rules if draft.by_rule else resolve_domains
        return tuple(
            self._make_event(draft, data, raw, domain, position, index)
            for index, domain in enumerate(resolve(draft.domains, context))
        )

    def _make_event(
        self,
        draft: Draft,
        data: object,
        raw: FrozenDict,
        domain: str | None,
        position: int,
        index: int,
    ) -> Event[Any]:
        cause = self.cause
        derived = self._derive_id(position, index)
        id_ = event_id(draft.id, derived)
        # An id that the author chose gets a suffix for each domain after the first, or the second
        # event would be a duplicate of the first. A managed id is unique already.
        chosen = draft.id.strip() if isinstance(draft.id, str) else None
        return Event(
            id=f"{id_}.{index}" if index and id_ == chosen else id_,
            source=self.handler,
            type=draft.type,
            subject=draft.subject
            if draft.child is None
            else self._child_subject(draft.child, domain, position, index),
            dataschema=draft.dataschema,
            data=data,
            wire=Wire(data, raw),
            time=self.now.isoformat(timespec="milliseconds"),
            to=_encode_address(draft.to),
            accesscontrol=draft.accesscontrol
            if draft.accesscontrol is not None
            else cause.accesscontrol,
            redirectto=_encode_address(draft.redirectto),
            executionunits=draft.executionunits
            if draft.executionunits is not None
            else self.executionunits,
            traceparent=cause.traceparent,
            tracestate=cause.tracestate,
            parentid=draft.parentid,
            domain=domain,
            extensions=draft.extensions,
        )

    def pending_timer(self, contract: Contract[Any], name: str, timer: Timer) -> PendingTimer:
        """Make the event that fires a timer of this turn."""
        return _make_pending_timer(contract, self.cause.subject, name, timer, self.cause)

    def timer_id(self, name: str) -> str:
        """Return the event id of a timer; the same name in the same turn gives the same id."""
        return self._derive_id("timer", name)

    def _child_subject(self, child: Child, domain: str | None, position: int, index: int) -> str:
        """Return the subject of the run that an event starts.

        Its id is derived from the cause too, so that a redelivery starts the same run.
        """
        run_id = self._derive_id(position, index, "execution")
        meta = {"redirectto": child.redirectto}
        if child.parent is not None:
            subject = child.parent.child(
                child.workflow, child.version, domain=domain, meta=meta, id=run_id
            )
        else:
            subject = Subject.new(
                child.workflow,
                child.version,
                initiator=self.handler,
                domain=domain,
                meta=meta,
                id=run_id,
            )
        return str(subject)

    def _derive_id(self, *position: int | str) -> str:
        cause = self.cause
        # A revived workflow handles the event on which it failed again. The new events need other
        # ids than the system error and the compensations of the failed turn, or consumers would
        # drop them as duplicates.
        turn = ("revived", self.revivals) if self.revivals else ()
        return derived_id(self.handler, cause.source, cause.id, cause.subject, *turn, *position)


def make_events(
    factory: EventFactory, drafts: Sequence[Draft]
) -> tuple[Event[Any], ...] | Violation:
    """Make the events of all drafts, or return a violation for the first that is invalid."""
    try:
        events = tuple(
            event
            for position, draft in enumerate(drafts)
            for event in factory.make(draft, position)
        )
    except Violated as violated:
        return violated.violation
    ids = {event.id for event in events}
    if len(ids) < len(events):
        counts = Counter(event.id for event in events)
        repeated = next(event.id for event in events if counts[event.id] > 1)
        issue = Issue("id", "a unique id for each event", repr(repeated))
        return ExecutionViolation(f"{factory.handler} gives two events the same id", issue)
    return events


def _encode_address(address: Any) -> Any:
    # The event refuses anything but a text, and its violation names the field.
    return encode_uri(address) if isinstance(address, str) else address


def pending_timers(system: System, record: Record) -> Iterator[PendingTimer]:
    """Yield the timers of *record* as events to deliver; a store may have lost its own."""
    handler = system.handler_at(record.handler)
    if handler is not None:
        for name, timer in record.timers.items():
            yield _make_pending_timer(handler.contract, record.subject, name, timer, None)


def _make_pending_timer(
    contract: Contract[Any], subject: str, name: str, timer: Timer, cause: Event[Any] | None
) -> PendingTimer:
    at = datetime.fromisoformat(timer.at)
    event: Event[Any] = Event(
        id=timer.id,
        source=contract.type,
        type=timer_event_type(contract.type),
        subject=subject,
        dataschema=f"{contract.uri}/{WILDCARD}",
        data={"name": name, "at": timer.at, "payload": timer.payload},
        time=at.isoformat(timespec="milliseconds"),
        to=contract.type,
        accesscontrol=None if cause is None else cause.accesscontrol,
        traceparent=None if cause is None else cause.traceparent,
        tracestate=None if cause is None else cause.tracestate,
        parentid=None if cause is None else cause.id,
    )
    return PendingTimer(event, at)

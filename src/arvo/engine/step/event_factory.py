"""Press: makes events out of drafts, with the ids, subjects and domains of a step."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.commit import PendingTimer
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import written
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.domain import DomainContext, resolve_domains, resolve_each
from arvo.core.events.envelope import Wire
from arvo.core.events.event import Event
from arvo.core.events.identity import derived_id, event_id
from arvo.core.events.protocol import Timer, timer_event_type
from arvo.core.events.subject import Subject
from arvo.core.events.uri import encode_uri
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.step.draft import Child, Draft
from arvo.engine.system.system import System


def pressed(press: "Press", drafts: Sequence[Draft]) -> tuple[Event[Any], ...] | Violation:
    """Make the events of all drafts, or say which of them cannot be."""
    try:
        events = tuple(
            event for position, draft in enumerate(drafts) for event in press(draft, position)
        )
    except Violated as violated:
        return violated.violation
    ids = {event.id for event in events}
    if len(ids) < len(events):
        twice = next(each.id for each in events if [e.id for e in events].count(each.id) > 1)
        issue = Issue("id", "an id of its own for each event", repr(twice))
        return ExecutionViolation(f"{press.handler} gives one id to two events", issue)
    return events


def _address(given: Any) -> Any:
    # What is no text is left to the event, which names the field and what it got.
    return encode_uri(given) if isinstance(given, str) else given


@final
@frozen
class Press:
    """Makes events for one handler out of one consumed event, at one time.

    *domain* is that of the handler's contract, *parent* the subject on whose behalf it runs.
    *revivals*: how often that was revived.
    """

    handler: str
    cause: Event[Any]
    domain: str | None
    parent: str | None
    executionunits: float
    now: datetime
    revivals: int = 0

    def __call__(self, draft: Draft, position: int) -> tuple[Event[Any], ...]:
        """Make the events of a draft; raises `Violated` where fields or payload do not fit."""
        what = f"{draft.type} of {draft.dataschema}"
        data, raw = written(draft.payload, draft.value, draft.beside, what)
        cause = self.cause
        context = DomainContext(
            self.domain, draft.event_domain, cause.domain, cause.subject, self.parent
        )
        resolve = resolve_each if draft.by_rule else resolve_domains
        return tuple(
            self._made(draft, data, raw, domain, position, index)
            for index, domain in enumerate(resolve(draft.domains, context))
        )

    def _made(
        self,
        draft: Draft,
        data: object,
        raw: FrozenDict,
        domain: str | None,
        position: int,
        index: int,
    ) -> Event[Any]:
        cause = self.cause
        unique = self._derived(position, index)
        given = event_id(draft.id, unique)
        # One id for two events would make the second a duplicate of the first (B33); a managed one
        # is unique by itself, and stays readable.
        own = draft.id.strip() if isinstance(draft.id, str) else None
        return Event(
            id=f"{given}.{index}" if index and given == own else given,
            source=self.handler,
            type=draft.type,
            subject=draft.subject
            if draft.child is None
            else self._begun(draft.child, domain, position, index),
            dataschema=draft.dataschema,
            data=data,
            wire=Wire(data, raw),
            time=self.now.isoformat(timespec="milliseconds"),
            to=_address(draft.to),
            accesscontrol=draft.accesscontrol
            if draft.accesscontrol is not None
            else cause.accesscontrol,
            redirectto=_address(draft.redirectto),
            executionunits=draft.executionunits
            if draft.executionunits is not None
            else self.executionunits,
            traceparent=cause.traceparent,
            tracestate=cause.tracestate,
            parentid=draft.parentid,
            domain=domain,
            extensions=draft.extensions,
        )

    def alarm(self, contract: Contract[Any], name: str, timer: Timer) -> PendingTimer:
        """Make the event that a timer of this turn leads to."""
        return _alarm(contract, self.cause.subject, name, timer, self.cause)

    def timer_id(self, name: str) -> str:
        """Name the event of a timer; set anew in the same turn it is the same timer."""
        return self._derived("timer", name)

    def _begun(self, child: Child, domain: str | None, position: int, index: int) -> str:
        """Name the run that an event begins; its id follows from the event's cause too (B21)."""
        run = self._derived(position, index, "execution")
        meta = {"redirectto": child.redirectto}
        if child.parent is not None:
            subject = child.parent.child(
                child.workflow, child.version, domain=domain, meta=meta, id=run
            )
        else:
            subject = Subject.new(
                child.workflow,
                child.version,
                initiator=self.handler,
                domain=domain,
                meta=meta,
                id=run,
            )
        return str(subject)

    def _derived(self, *position: int | str) -> str:
        cause = self.cause
        # The event that made a workflow fail is taken once more, and what it then leads to must not
        # be taken for the system error, or the undos, that it led to at first.
        turn = ("revived", self.revivals) if self.revivals else ()
        return derived_id(self.handler, cause.source, cause.id, cause.subject, *turn, *position)


def alarms_of(system: System, record: Record) -> Iterator[PendingTimer]:
    """Give the alarms that a record waits for, made anew: a store may have lost them."""
    handler = system.handler_at(record.handler)
    if handler is not None:
        for name, timer in record.timers.items():
            yield _alarm(handler.contract, record.subject, name, timer, None)


def _alarm(
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

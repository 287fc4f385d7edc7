"""Event factory: make events from drafts, with the ids, subjects and domains of a step."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, final

from attrs import define

from arvo.core.commit import PendingTimer
from arvo.core.contracts.contract import Contract
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.domain import DomainContext, resolve_domains, resolve_rules
from arvo.core.events.envelope import time_text
from arvo.core.events.event import Event, make_event
from arvo.core.events.identity import GivenId, digest_id, event_id
from arvo.core.events.protocol import Timer, timer_event_type
from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import INTEGER_MAX
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation, Violated, Violation
from arvo.engine.step.draft import Child, Draft
from arvo.engine.system.system import System
from arvo.handlers.event_handler import CONTEXT
from arvo.handlers.resumable import LOCAL


@final
@define
class EventFactory:
    """Makes the events of one handler that follow from one consumed event, at one time.

    *cause*: the consumed event. *domain*: the domain of the handler's contract. *parent*: the
    subject of the parent workflow. *revivals*: how often the workflow was revived. *time*: *now* as
    text.
    """

    handler: str
    cause: Event[Any]
    domain: str | None
    parent: str | None
    executionunits: float
    now: datetime
    revivals: int = 0
    time: str = ""
    # Whether the attributes that all events share are valid.
    _is_checked: bool = False
    _cause_text: str = ""

    def make(self, draft: Draft, position: int) -> list[Event[Any]]:
        """Make the events of a draft. Raises `Violated` for an invalid field or payload."""
        # At the first event, not earlier: some turns make none.
        if not self.time:
            is_utc, units = self.now.tzinfo is UTC, self.executionunits
            self.time = _utc_text(self.now) if is_utc else time_text(self.now)
            self._is_checked = is_utc and type(units) in (int, float) and 0 <= units < INTEGER_MAX
        written = draft.spec.write(draft.value, draft.extra)
        domains = draft.domains
        if domains is CONTEXT and self.parent is None and self.cause.domain is None:
            # Most events come from inside and lead to events that stay inside.
            domains = LOCAL
        elif domains is not LOCAL:
            resolve = resolve_rules if draft.by_rule else resolve_domains
            domains = resolve(domains, self._domain_context(draft))
        return [
            self._make_event(draft, written, domain, position, index)
            for index, domain in enumerate(domains)
        ]

    def _domain_context(self, draft: Draft) -> DomainContext:
        cause = self.cause
        return DomainContext(
            self.domain, draft.spec.domain, cause.domain, cause.subject, self.parent
        )

    def _make_event(
        self,
        draft: Draft,
        written: tuple[Any, FrozenDict],
        domain: str | None,
        position: int,
        index: int,
    ) -> Event[Any]:
        cause, spec = self.cause, draft.spec
        is_derived = (
            self._is_checked
            and draft.id is None
            and draft.accesscontrol is None
            and draft.executionunits is None
            and not draft.extensions
            and draft.subject is cause.subject
            and draft.parentid is cause.id
        )
        id_ = self._derive_id(f"{position}\0{index}")
        if draft.id is not None:
            id_ = _given_id(draft.id, id_, index)
        return make_event(
            *written,
            id_,
            self.handler,
            spec.type,
            draft.subject
            if draft.child is None
            else self._child_subject(draft.child, domain, position, index),
            time=self.time,
            dataschema=spec.dataschema,
            to=draft.to,
            accesscontrol=draft.accesscontrol
            if draft.accesscontrol is not None
            else cause.accesscontrol,
            redirectto=draft.redirectto,
            executionunits=draft.executionunits
            if draft.executionunits is not None
            else self.executionunits,
            traceparent=cause.traceparent,
            tracestate=cause.tracestate,
            parentid=draft.parentid,
            domain=domain,
            extensions=draft.extensions,
            is_derived=is_derived,
        )

    def pending_timer(self, contract: Contract[Any], name: str, timer: Timer) -> PendingTimer:
        """Make the event that fires a timer of this turn."""
        return _make_pending_timer(contract, self.cause.subject, name, timer, self.cause)

    def timer_id(self, name: str) -> str:
        """Return the event id of a timer; the same name in the same turn gives the same id."""
        return self._derive_id(f"timer\0{name}")

    def _child_subject(self, child: Child, domain: str | None, position: int, index: int) -> str:
        """Return the subject of the run that an event starts.

        Its id is derived from the cause too, so that a redelivery starts the same run, unless the
        author has chosen it.
        """
        run_id = child.workflow_id or self._derive_id(f"{position}\0{index}\0execution")
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

    def _derive_id(self, position: str) -> str:
        if not self._cause_text:
            cause = self.cause
            # A revived workflow handles the event on which it failed again. The new events need
            # other ids than the system error and the compensations of the failed turn, or consumers
            # would drop them as duplicates.
            turn = f"\0revived\0{self.revivals}" if self.revivals else ""
            self._cause_text = f"{self.handler}\0{cause.source}\0{cause.id}\0{cause.subject}{turn}"
        return digest_id(f"{self._cause_text}\0{position}")


# A process takes many steps at one time. Only of times in UTC: equal ones have equal texts.
_utc_text: Final = lru_cache(maxsize=16)(time_text)


def make_events(
    factory: EventFactory, drafts: Sequence[Draft]
) -> tuple[Event[Any], ...] | Violation:
    """Make the events of all drafts, or return a violation for the first that is invalid."""
    events: list[Event[Any]] = []
    try:
        for position, draft in enumerate(drafts):
            events += factory.make(draft, position)
    except Violated as violated:
        return violated.violation
    if len(events) > 1 and len({event.id for event in events}) < len(events):
        counts = Counter(event.id for event in events)
        repeated = next(event.id for event in events if counts[event.id] > 1)
        issue = Issue("id", "a unique id for each event", repr(repeated))
        return ExecutionViolation(f"{factory.handler} gives two events the same id", issue)
    return tuple(events)


def _given_id(given: GivenId, derived: str, index: int) -> str:
    """Return the id that an author chose, for the event of domain number *index*."""
    id_ = event_id(given, derived)
    # A chosen id gets a suffix for each domain after the first, or the second event would be a
    # duplicate of the first. A managed id is unique already.
    chosen = given.strip() if isinstance(given, str) else None
    return f"{id_}.{index}" if index and id_ == chosen else id_


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
        time=time_text(at),
        to=contract.type,
        accesscontrol=None if cause is None else cause.accesscontrol,
        traceparent=None if cause is None else cause.traceparent,
        tracestate=None if cause is None else cause.tracestate,
        parentid=None if cause is None else cause.id,
    )
    return PendingTimer(event, at)

"""Missing: which handler or version an event needs that a system lacks."""

from typing import Any, final

from attrs import frozen

from arvo.core.events.dataschema import Dataschema
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.engine.system.handler import Handler, WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler


@final
@frozen
class ServiceVersion:
    """A handler's *address* and one of its versions; *version* None: any version."""

    address: str
    version: str | None

    def __str__(self) -> str:
        return self.address if self.version is None else f"{self.address} {self.version}"


def versions_of(handler: Handler) -> tuple[str, ...]:
    """Return the versions that a handler implements.

    >>> from arvo import Contract, EventHandler, Version
    >>> terms = Version(accepts={"type": "object"}, emits={})
    >>> ping = Contract(uri="#/ping", type="com.ping", versions={"1.0.0": terms})
    >>> versions_of(EventHandler(ping, {"1.0.0": lambda event: None}))
    ('1.0.0',)
    """
    if is_workflow(handler):
        return tuple(handler.versions)
    return tuple(handler.contract.versions)


def missing_service(
    system: System, event: Event[Any], record: Record | None
) -> ServiceVersion | None:
    """Return what *event* needs and *system* lacks: the handler or its version; None for nothing.

    *record* is the stored record of the event's subject, or None. A step of such an event changes
    nothing, and another system may handle the event.
    """
    handler = system.handler_at(event.to)
    if handler is None:
        return None if event.to is None else ServiceVersion(event.to, None)
    if isinstance(handler, EventHandler):
        needed = _contract_version(handler, event)
    else:
        needed = _workflow_version(handler, event, record)
    if needed is None or needed in versions_of(handler):
        return None
    return ServiceVersion(handler.source, needed)


def _contract_version(handler: EventHandler[Any], event: Event[Any]) -> str | None:
    """Return the version by which the event was made, None if it is not of this contract."""
    schema = Dataschema.parse(event.dataschema)
    if schema is None or schema.uri != handler.contract.uri:
        return None
    return schema.version if event.type == handler.contract.type else None


def _workflow_version(
    handler: WorkflowHandler, event: Event[Any], record: Record | None
) -> str | None:
    """Return the version of the event's workflow, None if it belongs to another handler."""
    try:
        subject = Subject.parse(event.subject)
    except Violated:
        return None
    if subject.orchestrator.name != handler.source:
        return None
    # `migrate` may have moved a record to another version than its subject names.
    if record is not None and record.init:
        return record.version
    return subject.orchestrator.version

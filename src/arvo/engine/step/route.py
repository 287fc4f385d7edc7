"""Route: find the destination of an event."""

from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.violations.violation import Violated
from arvo.engine.system.handler import is_workflow
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable


@final
@frozen
class ToHandler:
    """To the handler at *address*, which handles events of one *key* one at a time, in order."""

    address: str
    key: str | None


@final
@frozen
class ToDomain:
    """Out of the system, to the listener of *domain*."""

    domain: str


@final
@frozen
class ToCaller:
    """Back to the caller of this run, at *address* outside the system."""

    address: str


@final
@frozen
class Unroutable:
    """No destination; *reason* is for operators."""

    reason: str


Route: TypeAlias = ToHandler | ToDomain | ToCaller | Unroutable


def route(system: System, event: Event[Any], cause: Event[Any] | None) -> Route:
    """Return the destination of *event*.

    *cause*: the event that led to it, None for an event from outside the system. An event that a
    handler emits with a domain leaves the system. An event from outside goes to its handler even if
    it has a domain, because the sender has addressed this system.
    """
    if event.domain is not None and cause is not None:
        return ToDomain(event.domain)
    match system.handler_at(event.to):
        case EventHandler(source=source):
            return ToHandler(source, None)
        case Resumable(source=source) | Orchestrator(source=source) | FlowHandler(source=source):
            # A workflow handles one event at a time; an event handler has no state to protect.
            return ToHandler(source, event.subject)
        case None if event.to is not None and system.is_remote(event.to):
            return to_other_process(event, event.to)
        case None if event.to is not None and event.to in system.subscriptions and cause:
            # Not for an event from outside: only a workflow reports its end.
            return ToHandler(event.to, None)
        case None:
            pass
    if cause is not None and event.to in (*reply_addresses(cause), *_initiators(event.subject)):
        return ToCaller(event.to)
    if cause is not None and event.to is not None and _answers_signal(system, event):
        return ToCaller(event.to)
    known = ", ".join(system.addresses) or "none"
    return Unroutable(f"no handler is at {event.to!r} (known addresses: {known})")


def _answers_signal(system: System, event: Event[Any]) -> bool:
    """Return whether a workflow answers an earlier signal by *event*, not the one of its turn."""
    handler = system.handler_at(event.source)
    if not is_workflow(handler):
        return False
    return any(
        signal.dataschema == event.dataschema and event.type in signal.emitted
        for version in handler.versions
        for signal in handler.signals_of(version).by_answer.get(event.type, ())
    )


def to_other_process(event: Event[Any], address: str) -> ToHandler:
    """Return the destination of an event for a handler or a listener of another process."""
    return ToHandler(address, event.subject if is_orchestrator_type(address) else None)


def reply_addresses(event: Event[Any]) -> tuple[str, ...]:
    """Return the addresses that may get the answer to *event*: sender, redirectto, initiator."""
    redirect = () if event.redirectto is None else (event.redirectto,)
    return (event.source, *redirect, *_initiators(event.subject))


def _initiators(subject: str) -> tuple[str, ...]:
    """Return the address that started a run, and the one that gets its completion."""
    try:
        run = Subject.parse(subject)
    except Violated:
        return ()
    return run.execution.initiator, run.answers_to

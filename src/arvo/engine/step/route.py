"""Route: where an event goes once it is made."""

from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable


@final
@frozen
class ToHandler:
    """To the handler at *address*. Events of one *key* are taken one at a time, in order."""

    address: str
    key: str | None


@final
@frozen
class ToDomain:
    """Out of the system, to whoever listens to *domain*."""

    domain: str


@final
@frozen
class ToCaller:
    """Back to *address*, outside, from where this run was asked for."""

    address: str


@final
@frozen
class Unroutable:
    """To nobody: *reason* says why, in words."""

    reason: str


Route: TypeAlias = ToHandler | ToDomain | ToCaller | Unroutable


def route(system: System, event: Event[Any], cause: Event[Any] | None) -> Route:
    """Say where *event* goes; *cause* is the event it follows from, None where it comes from
    outside.

    What a handler emits with a domain leaves the system (reference F175). What comes from outside
    is delivered, whatever its domain: it has just been sent on purpose.
    """
    if event.domain is not None and cause is not None:
        return ToDomain(event.domain)
    match system.handler_at(event.to):
        case EventHandler(source=source):
            return ToHandler(source, None)
        case Resumable(source=source) | Orchestrator(source=source) | FlowHandler(source=source):
            # A workflow takes one turn at a time; a handler without memory has no such need.
            return ToHandler(source, event.subject)
        case None:
            pass
    if cause is not None and event.to in (*reply_addresses(cause), *_initiators(event.subject)):
        return ToCaller(event.to)
    known = ", ".join(system.addresses) or "none"
    return Unroutable(f"nobody is at {event.to!r}; there are {known}")


def reply_addresses(event: Event[Any]) -> tuple[str, ...]:
    """Name the addresses that asked by an event: they know what to do with its answer."""
    named = () if event.redirectto is None else (event.redirectto,)
    return (event.source, *named, *_initiators(event.subject))


def _initiators(subject: str) -> tuple[str, ...]:
    """Name the addresses that began a run, or that it answers to."""
    try:
        run = Subject.parse(subject)
    except Violated:
        return ()
    return run.execution.initiator, run.answers_to

"""Route: where an event goes once it is made."""

from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.event import Event
from arvo.core.subject import Subject
from arvo.core.violation import Violated
from arvo.engine.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.resumable import Resumable


@final
@frozen
class Inside:
    """To the handler at *address*. Events of one *key* are taken one at a time, in order."""

    address: str
    key: str | None


@final
@frozen
class Outside:
    """Out of the system, to whoever listens to *domain*."""

    domain: str


@final
@frozen
class Home:
    """Back to *address*, outside, from where this run was asked for."""

    address: str


@final
@frozen
class Nowhere:
    """To nobody: *reason* says why, in words."""

    reason: str


Destination: TypeAlias = Inside | Outside | Home | Nowhere


def route(system: System, event: Event[Any], cause: Event[Any] | None) -> Destination:
    """Say where *event* goes; *cause* is the event it follows from, None where it comes from
    outside.

    What a handler emits with a domain leaves the system (reference F175). What comes from outside
    is delivered, whatever its domain: it has just been sent on purpose.
    """
    if event.domain is not None and cause is not None:
        return Outside(event.domain)
    match system.handler_at(event.to):
        case EventHandler(source=source):
            return Inside(source, None)
        case Resumable(source=source):
            # A workflow takes one turn at a time; a handler without memory has no such need.
            return Inside(source, event.subject)
        case None:
            pass
    if cause is not None and event.to is not None and event.to in _askers(event, cause):
        return Home(event.to)
    known = ", ".join(system.addresses) or "none"
    return Nowhere(f"nobody is at {event.to!r}; there are {known}")


def _askers(event: Event[Any], cause: Event[Any]) -> tuple[str | None, ...]:
    """Name the addresses outside that asked for this event, and so will know what to do with it."""
    asking: list[str | None] = [cause.source, cause.redirectto]
    for subject in {event.subject, cause.subject}:
        try:
            run = Subject.parse(subject)
        except Violated:
            continue
        asking += [run.execution.initiator, run.answers_to]
    return tuple(asking)

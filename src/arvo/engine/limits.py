"""Limits: the slots that an event takes while it is processed, by the limits of its handler."""

from hashlib import blake2b
from typing import Any, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type
from arvo.core.violations.issue import Issue, one_line, short_repr
from arvo.core.violations.violation import ExecutionViolation
from arvo.engine.history.typed import read_received
from arvo.engine.step.admit import describe_event
from arvo.engine.system.handler import Handler
from arvo.engine.system.system import System
from arvo.handlers.limit import Limit
from arvo.interrupts import is_interrupt


@final
@frozen
class Slot:
    """A place of one limit and one key, of which there are *number*.

    *id*: 32 hex digits, the same in every process. *seconds*: None for a place that an event holds
    while it is processed; else the seconds for which a start counts.
    """

    id: str
    number: int
    seconds: float | None = None


def slots_of(system: System, event: Event[Any]) -> tuple[Slot, ...] | ExecutionViolation:
    """Return the slots that *event* takes; a violation where the `per` of a limit fails.

    Pure. An event that its handler does not accept takes none: its step refuses it. Nor does a
    cancellation: it interrupts a turn that holds slots.
    """
    handler = system.handler_at(event.to)
    if handler is None or not handler.policy.limits or event.type == cancel_type(handler.source):
        return ()
    received = read_received(handler, event)
    if received is None:
        return ()
    slots: list[Slot] = []
    for position, limit in enumerate(handler.policy.limits):
        key = _key_of(limit, f"limits[{position}].per", received)
        if isinstance(key, Issue):
            return ExecutionViolation(f"{handler.source} cannot limit {describe_event(event)}", key)
        if key is not None:
            slots.append(_slot(handler, position, limit, key))
    return tuple(slots)


def limited_addresses(system: System) -> frozenset[str]:
    """Return the addresses of the handlers that have limits."""
    return frozenset(it.source for it in system.handlers if it.policy.limits)


def _key_of(limit: Limit, path: str, event: Event[Any]) -> tuple[str, ...] | Issue | None:
    """Return the key of an event, empty without a `per`; None where the limit does not count it."""
    if limit.per is None:
        return ()
    expected = "a text, a whole number or None"
    try:
        key: object = limit.per(event)
    except BaseException as error:
        if is_interrupt(error):
            raise
        return Issue(path, expected, one_line(f"{type(error).__name__}: {error}"))
    if key is None:
        return None
    return (str(key),) if isinstance(key, str | int) else Issue(path, expected, short_repr(key))


def _slot(handler: Handler, position: int, limit: Limit, key: tuple[str, ...]) -> Slot:
    # A digest: a key may be long, and no store should hold the name of a customer for it. `repr`
    # escapes the characters that UTF-8 cannot hold.
    kind = "concurrent" if limit.seconds is None else "rate"
    text = repr([handler.source, position, kind, *key]).encode()
    return Slot(blake2b(text, digest_size=16).hexdigest(), limit.number, limit.seconds)

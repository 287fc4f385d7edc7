"""Limits: the slots that an event takes while it is processed, by the limits of its handler."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, final

from attrs import field, frozen

from arvo.core.events.event import Event
from arvo.core.events.protocol import cancel_type
from arvo.core.violations.issue import Issue, one_line, short_repr
from arvo.core.violations.violation import ExecutionViolation
from arvo.engine.history.typed import read_received
from arvo.engine.step.admit import describe_event
from arvo.engine.system.handler import Handler
from arvo.engine.system.system import System
from arvo.handlers.limit import PRIORITY_MAX, Limit, LimitKey
from arvo.interrupts import is_interrupt


@final
@frozen
class Slot:
    """A place of one limit and one key, of which there are *number*.

    *id*: 32 hex digits, the same in every process. *seconds*: None for a place that an event holds
    while it is processed; else the seconds for which a start counts. *group*: the events that wait
    for a place in order, one group in turn with the other ones; None where all of them wait in
    order. *priority*: that of the group.
    """

    id: str
    number: int
    seconds: float | None = None
    group: str | None = field(default=None, eq=False)
    priority: int = field(default=0, eq=False)


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
        slot = _slot(handler, f"limits[{position}]", limit, received)
        if isinstance(slot, Issue):
            return ExecutionViolation(
                f"{handler.source} cannot limit {describe_event(event)}", slot
            )
        if slot is not None:
            slots.append(slot)
    return tuple(slots)


def limited_addresses(system: System) -> frozenset[str]:
    """Return the addresses of the handlers that have limits."""
    return frozenset(it.source for it in system.handlers if it.policy.limits)


def _slot(handler: Handler, path: str, limit: Limit, event: Event[Any]) -> Slot | Issue | None:
    """Return the slot that an event takes; None where the limit does not count it."""
    key = _read_key(limit.per, f"{path}.per", event)
    if key is None or isinstance(key, Issue):
        return key
    # A digest: a key may be long, and no store should hold the name of a customer for it. `repr`
    # escapes the characters that UTF-8 cannot hold.
    kind = "concurrent" if limit.seconds is None else "rate"
    id_ = _digest(handler.source, path, kind, *key)
    if limit.priority is None and limit.fairness_key is None:
        return Slot(id_, limit.number, limit.seconds)
    priority = _read_priority(limit.priority, f"{path}.priority", event)
    if isinstance(priority, Issue):
        return priority
    share = _read_key(limit.fairness_key, f"{path}.fairness_key", event)
    if isinstance(share, Issue):
        return share
    group = f"{priority} {_digest(*share or ())}"
    return Slot(id_, limit.number, limit.seconds, group, priority)


def _digest(*parts: str) -> str:
    return blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _read_key(key: LimitKey | None, path: str, event: Event[Any]) -> tuple[str, ...] | Issue | None:
    """Return the key of an event, empty without a function; None where that returns None."""
    if key is None:
        return ()
    expected = "a text, a whole number or None"
    value = _call(key, path, expected, event)
    if value is None or isinstance(value, Issue):
        return value
    if not isinstance(value, str | int):
        return Issue(path, expected, short_repr(value))
    return (str(value),)


def _read_priority(
    priority: Callable[[Event[Any]], int] | None, path: str, event: Event[Any]
) -> int | Issue:
    if priority is None:
        return 0
    expected = f"a whole number from 0 to {PRIORITY_MAX}"
    value = _call(priority, path, expected, event)
    if isinstance(value, Issue):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= PRIORITY_MAX:
        return Issue(path, expected, short_repr(value))
    return value


def _call(
    function: Callable[[Event[Any]], object], path: str, expected: str, event: Event[Any]
) -> object:
    """Return what a function of a limit returns; an issue where it fails."""
    try:
        return function(event)
    except BaseException as error:
        if is_interrupt(error):
            raise
        return Issue(path, expected, one_line(f"{type(error).__name__}: {error}"))

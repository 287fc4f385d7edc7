"""Typed: the events of a history, with payloads of the classes that a system's contracts name."""

from collections.abc import Iterator
from typing import Any

from attrs import evolve

from arvo.core.contracts.contract import Contract
from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.history import HistoryEntry
from arvo.core.violations.violation import Violated
from arvo.engine.step.admit import Admitted, admit_emitted, admit_event, admit_turn
from arvo.engine.system.handler import Handler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler


def typed_entry(system: System, entry: HistoryEntry) -> HistoryEntry:
    """Return an entry with the payload of its event as `typed_event` reads it."""
    if entry.event is None:
        return entry
    return evolve(entry, event=typed_event(system, entry.event))


def typed_event(system: System, event: Event[Any]) -> Event[Any]:
    """Read the payload of an event by the contract of its sender or of its receiver in *system*.

    Where neither has a contract that the payload fits, the data is a frozen mapping, whatever form
    it has in *event*. So the same history reads the same from every backend.
    """
    plain = event.with_payload(event.raw, event.raw)
    emitted = admit_emitted(system, plain)
    if emitted is not plain:
        return emitted
    for handler in _receivers(system, event):
        admitted = read_received(handler, plain)
        if admitted is not None:
            return admitted
    return plain


def _receivers(system: System, event: Event[Any]) -> Iterator[Handler]:
    """Yield the handler at the event's address, and the workflow that its subject names."""
    handler = system.handler_at(event.to)
    if handler is not None:
        yield handler
    try:
        workflow = system.handler_at(Subject.parse(event.subject).orchestrator.name)
    except Violated:
        return
    if workflow is not None and workflow is not handler:
        yield workflow


def read_received(handler: Handler, event: Event[Any]) -> Event[Any] | None:
    """Return an event with its payload as a handler gets it; None if it fits no contract."""
    if isinstance(handler, EventHandler):
        admitted = admit_event(handler, event)
        return admitted.event if isinstance(admitted, Admitted) else None
    assert is_workflow(handler)
    # The version that took the turn is not in the event: the workflow may have been migrated.
    for version in _newest_first(handler.contract):
        if version in handler.versions:
            turn = admit_turn(handler, version, event)
            if isinstance(turn, Admitted):
                return turn.event
    return None


def _newest_first(contract: Contract[Any]) -> tuple[str, ...]:
    return contract.sorted_versions[::-1]

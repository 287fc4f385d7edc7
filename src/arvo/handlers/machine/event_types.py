"""Event types: the event types that the classes among the keys of `on` stand for."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import evolve, frozen

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.protocol import (
    Cancellation,
    SystemFault,
    TimerFired,
    cancel_type,
    timer_event_type,
)
from arvo.core.payloads.types.classes import type_name
from arvo.core.violations.issue import Issue
from arvo.statechart.compiled.chart import descriptor_of
from arvo.statechart.definition.state import State, Transition


@frozen
class IncomingEvent:
    """An event that a machine may receive: its type, and the dataschema of its contract."""

    type: str
    dataschema: str

    def __str__(self) -> str:
        return f"{self.type} of {self.dataschema}"


# The events that carry each payload class; several events may carry the same class.
IncomingEvents: TypeAlias = Mapping[type, tuple[IncomingEvent, ...]]


def incoming_events(
    contract: VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> IncomingEvents:
    """Return the events that a workflow may receive, by payload class."""
    own = contract.dataschema
    incoming: dict[type, tuple[IncomingEvent, ...]] = {
        Cancellation: (IncomingEvent(cancel_type(contract.type), own),),
        TimerFired: (IncomingEvent(timer_event_type(contract.type), own),),
        SystemFault: tuple(
            IncomingEvent(service.system_error_type, service.dataschema) for service in services
        ),
    }
    replies = [
        (kind, IncomingEvent(name, service.dataschema))
        for service in services
        for name, payload in service.emitted.items()
        for kind in payload.types
    ]
    received = [
        (signal.accepted.type, IncomingEvent(signal.type, signal.dataschema)) for signal in signals
    ]
    for kind, event in replies + received:
        if kind is not None:
            incoming[kind] = (*incoming.get(kind, ()), event)
    return {kind: events for kind, events in incoming.items() if events}


def event_type(incoming: IncomingEvents, key: object) -> str:
    """Return the event type of a class that a chart raises itself.

    It is the type of the one event that carries the class, or else the name of the class.
    """
    events = _carriers(incoming, key)
    return events[0].type if len(events) == 1 else descriptor_of(key)


def resolve_event_types(
    state: State, incoming: IncomingEvents, path: tuple[str, ...] = ()
) -> tuple[State, tuple[Issue, ...]]:
    """Replace the classes among the keys of `on` by event types, in *state* and below it."""
    issues: list[Issue] = []
    on: dict[Hashable, tuple[Transition, ...]] = {}
    # SystemFault stands for the error of every service that has no key of its own.
    explicit = {key for key in state.on if isinstance(key, str)}
    for key, transitions in state.on.items():
        types = _event_types(key, incoming, ".".join(path), explicit)
        if isinstance(types, Issue):
            issues.append(types)
            continue
        for resolved in types:
            if resolved in on:
                expected = "one key for each event"
                issues.append(Issue(_on_path(".".join(path)), expected, f"two for {resolved}"))
            on[resolved] = transitions
    states: dict[str, State] = {}
    for name, child in state.states.items():
        states[name], child_issues = resolve_event_types(child, incoming, (*path, name))
        issues += child_issues
    return evolve(state, on=on, states=states), tuple(issues)


def _event_types(
    key: Hashable, incoming: IncomingEvents, path: str, explicit: set[str]
) -> tuple[Hashable, ...] | Issue:
    if not isinstance(key, type) and key not in incoming:
        return (key,)
    types = tuple(dict.fromkeys(event.type for event in _carriers(incoming, key)))
    if key is SystemFault and types:
        return tuple(resolved for resolved in types if resolved not in explicit)
    match types:
        case ():
            known = ", ".join(sorted(map(type_name, incoming)))
            expected = f"a class that an event carries ({known})"
            return Issue(_on_path(path), expected, type_name(key))
        case (only,):
            return (only,)
        case _:
            carriers = " and ".join(map(str, _carriers(incoming, key)))
            expected = f"an event type, because {type_name(key)} is the payload of {carriers}"
            return Issue(_on_path(path), expected, f"the class {type_name(key)}")


def _carriers(incoming: Mapping[Any, tuple[IncomingEvent, ...]], key: object) -> Any:
    return incoming.get(key, ())


def _on_path(path: str) -> str:
    return f"{path}.on" if path else "on"

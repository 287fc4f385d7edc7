"""Keys: which event types the keys of a machine's states mean."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import evolve, frozen

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.cancellation import Cancellation, cancel_type
from arvo.core.events.fault import SystemFault
from arvo.core.events.protocol import TimerFired, timer_event_type
from arvo.core.violations.issue import Issue
from arvo.statechart.compiled.chart import spell
from arvo.statechart.definition.state import State, Transition


@frozen
class Heard:
    """An event that may come to a machine: its type, and the contract that names it."""

    type: str
    whose: str

    def __str__(self) -> str:
        return f"{self.type} of {self.whose}"


# What each payload class may come as; a class that several events carry has several.
Classes: TypeAlias = Mapping[type, tuple[Heard, ...]]


def classes_of(
    contract: VersionedContract[Any],
    services: Sequence[VersionedContract[Any]],
    signals: Sequence[VersionedContract[Any]],
) -> Classes:
    """Tell which events carry each payload class that may come to a workflow."""
    own = contract.dataschema
    found: dict[type, tuple[Heard, ...]] = {
        Cancellation: (Heard(cancel_type(contract.type), own),),
        TimerFired: (Heard(timer_event_type(contract.type), own),),
        SystemFault: tuple(Heard(each.system_error_type, each.dataschema) for each in services),
    }
    events = [
        (payload.type, Heard(name, each.dataschema))
        for each in services
        for name, payload in each.emitted.items()
    ] + [(each.accepted.type, Heard(each.type, each.dataschema)) for each in signals]
    for kind, heard in events:
        if kind is not None:
            found[kind] = (*found.get(kind, ()), heard)
    return {kind: heard for kind, heard in found.items() if heard}


def named(classes: Classes, key: object) -> str:
    """Name the event type of a class that a chart raises itself: that of its event, or its own."""
    heard = classes.get(key, ()) if isinstance(key, type) else ()
    return heard[0].type if len(heard) == 1 else spell(key)


def with_types(
    state: State, classes: Classes, path: tuple[str, ...] = ()
) -> tuple[State, tuple[Issue, ...]]:
    """Put event types in the place of the classes among the keys of a state and those below."""
    issues: list[Issue] = []
    on: dict[Hashable, tuple[Transition, ...]] = {}
    # What is written as a type stands: SystemFault is every service's that is not.
    written = {key for key in state.on if isinstance(key, str)}
    for key, moves in state.on.items():
        types = _types(key, classes, ".".join(path), written)
        if isinstance(types, Issue):
            issues.append(types)
            continue
        for each in types:
            if each in on:
                expected = "one key for each event"
                issues.append(Issue(_at(".".join(path)), expected, f"two for {each}"))
            on[each] = moves
    states: dict[str, State] = {}
    for name, child in state.states.items():
        states[name], below = with_types(child, classes, (*path, name))
        issues += below
    return evolve(state, on=on, states=states), tuple(issues)


def _types(
    key: Hashable, classes: Classes, path: str, written: set[str]
) -> tuple[Hashable, ...] | Issue:
    if not isinstance(key, type):
        return (key,)
    types = tuple(dict.fromkeys(heard.type for heard in classes.get(key, ())))
    if key is SystemFault and types:
        return tuple(each for each in types if each not in written)
    match types:
        case ():
            known = ", ".join(sorted(_names(classes)))
            return Issue(_at(path), f"a class that some event carries ({known})", key.__name__)
        case (only,):
            return (only,)
        case _:
            carriers = ", ".join(map(str, classes[key]))
            expected = f"an event type, for {key.__name__} is carried by {carriers}"
            return Issue(_at(path), expected, f"the class {key.__name__}")


def _names(classes: Classes) -> Iterator[str]:
    yield from (kind.__name__ for kind in classes)


def _at(path: str) -> str:
    return f"{path}.on" if path else "on"

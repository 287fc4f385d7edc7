"""State and Transition: the frozen values that a chart is made of."""

from collections.abc import Hashable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from arvo.statechart.definition.actions import Action, to_actions
from arvo.statechart.definition.guards import Guard

Kind: TypeAlias = Literal["atomic", "compound", "parallel", "final", "history"]
History: TypeAlias = Literal["shallow", "deep"]
DelayKey: TypeAlias = str | float | timedelta


def _to_targets(target: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if target is None:
        return None
    if isinstance(target, str):
        return (target,) if target else None
    return tuple(target)


@frozen
class Transition:
    """A transition out of a state: its target, its guard and its actions.

    Without *target* the state stays active and only *actions* run. Without *target* and *actions*
    the event is consumed and ignored, so no ancestor handles it. A transition to a state inside
    its own source leaves the source only with *reenter*.
    """

    target: tuple[str, ...] | None = field(default=None, converter=_to_targets)
    guard: Guard | None = None
    actions: tuple[Action, ...] = field(default=(), converter=to_actions, kw_only=True)
    reenter: bool = field(default=False, kw_only=True)


# The value of a key of `on`: a target, a transition, or several that are tried in order.
Transitions: TypeAlias = str | Transition | Iterable[str | Transition]


def _to_transition(transition: str | Transition) -> Transition:
    return Transition(transition) if isinstance(transition, str) else transition


def _to_transitions(transitions: Transitions) -> tuple[Transition, ...]:
    if isinstance(transitions, str | Transition):
        return (_to_transition(transitions),)
    return tuple(_to_transition(transition) for transition in transitions)


# Any: a mapping is invariant in its keys, so one that several states share would not fit another
# type.
def _to_event_map(on: Mapping[Any, Transitions]) -> Mapping[Hashable, tuple[Transition, ...]]:
    return {key: _to_transitions(value) for key, value in on.items()}


def _to_delay_map(
    after: Mapping[Any, Transitions],
) -> Mapping[DelayKey, tuple[Transition, ...]]:
    return {key: _to_transitions(value) for key, value in after.items()}


def _to_initial(initial: str | Transition | None) -> Transition | None:
    return None if initial is None else _to_transition(initial)


def _to_tags(tags: str | Iterable[str]) -> frozenset[str]:
    return frozenset((tags,)) if isinstance(tags, str) else frozenset(tags)


def _to_states(states: "Mapping[str, State]") -> "Mapping[str, State]":
    return dict(states)


def _to_done_transitions(transitions: Transitions | None) -> tuple[Transition, ...] | None:
    return None if transitions is None else _to_transitions(transitions)


@frozen(kw_only=True)
class State:
    """One state: its children, its transitions, and its entry and exit actions.

    With *states* it is compound and needs an *initial* child, unless *type* makes it parallel.
    Keys of *on* are event types, wildcards (``"*"``, ``"payment.*"``) or classes of events.
    Keys of *after* are milliseconds, timedeltas, or names of the chart's delays.
    """

    initial: Transition | None = field(default=None, converter=_to_initial)
    states: "Mapping[str, State]" = field(factory=dict[str, "State"], converter=_to_states)
    on: Mapping[Hashable, tuple[Transition, ...]] = field(
        factory=dict[Hashable, tuple[Transition, ...]], converter=_to_event_map
    )
    always: tuple[Transition, ...] = field(default=(), converter=_to_transitions)
    after: Mapping[DelayKey, tuple[Transition, ...]] = field(
        factory=dict[DelayKey, tuple[Transition, ...]], converter=_to_delay_map
    )
    on_done: tuple[Transition, ...] | None = field(default=None, converter=_to_done_transitions)
    entry: tuple[Action, ...] = field(default=(), converter=to_actions)
    exit: tuple[Action, ...] = field(default=(), converter=to_actions)
    type: Kind | None = None
    history: History | None = None
    target: tuple[str, ...] | None = field(default=None, converter=_to_targets)
    output: object = None
    tags: frozenset[str] = field(default=frozenset(), converter=_to_tags)
    meta: object = None
    id: str | None = None

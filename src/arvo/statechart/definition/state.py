"""State and Transition: the frozen values that a chart is made of."""

from collections.abc import Hashable, Iterable, Mapping
from datetime import timedelta
from typing import Literal, TypeAlias

from attrs import field, frozen

from arvo.statechart.definition.actions import Action, listed
from arvo.statechart.definition.guards import Guard

Kind: TypeAlias = Literal["atomic", "compound", "parallel", "final", "history"]
History: TypeAlias = Literal["shallow", "deep"]
DelayKey: TypeAlias = str | float | timedelta


def _targets(target: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if target is None:
        return None
    if isinstance(target, str):
        return (target,) if target else None
    return tuple(target)


@frozen
class Transition:
    """One way from a state: where to, under which condition, doing what.

    Without *target* the state stays and only *actions* run; without either, the event is taken
    and ignored, so that no ancestor hears it. A transition inside its own state does not leave
    that state unless *reenter* says so.
    """

    target: tuple[str, ...] | None = field(default=None, converter=_targets)
    guard: Guard | None = None
    actions: tuple[Action, ...] = field(default=(), converter=listed, kw_only=True)
    reenter: bool = field(default=False, kw_only=True)


# What may stand behind a key of `on`: a target, a transition, or several to be tried in order.
Moves: TypeAlias = str | Transition | Iterable[str | Transition]


def _transition(move: str | Transition) -> Transition:
    return Transition(move) if isinstance(move, str) else move


def _moves(moves: Moves) -> tuple[Transition, ...]:
    if isinstance(moves, str | Transition):
        return (_transition(moves),)
    return tuple(_transition(move) for move in moves)


def _events(on: Mapping[Hashable, Moves]) -> Mapping[Hashable, tuple[Transition, ...]]:
    return {key: _moves(moves) for key, moves in on.items()}


def _delays(after: Mapping[DelayKey, Moves]) -> Mapping[DelayKey, tuple[Transition, ...]]:
    return {key: _moves(moves) for key, moves in after.items()}


def _initial(initial: str | Transition | None) -> Transition | None:
    return None if initial is None else _transition(initial)


def _tags(tags: str | Iterable[str]) -> frozenset[str]:
    return frozenset((tags,)) if isinstance(tags, str) else frozenset(tags)


def _states(states: "Mapping[str, State]") -> "Mapping[str, State]":
    return dict(states)


def _done(moves: Moves | None) -> tuple[Transition, ...] | None:
    return None if moves is None else _moves(moves)


@frozen(kw_only=True)
class State:
    """One state: what it holds, what it hears, and what it does on the way in and out.

    With *states* it is compound and needs an *initial* child, unless *type* makes it parallel.
    Keys of *on* are event types, wildcards (``"*"``, ``"payment.*"``) or classes of events.
    Keys of *after* are milliseconds, timedeltas, or names of the chart's delays.
    """

    initial: Transition | None = field(default=None, converter=_initial)
    states: "Mapping[str, State]" = field(factory=dict[str, "State"], converter=_states)
    on: Mapping[Hashable, tuple[Transition, ...]] = field(
        factory=dict[Hashable, tuple[Transition, ...]], converter=_events
    )
    always: tuple[Transition, ...] = field(default=(), converter=_moves)
    after: Mapping[DelayKey, tuple[Transition, ...]] = field(
        factory=dict[DelayKey, tuple[Transition, ...]], converter=_delays
    )
    on_done: tuple[Transition, ...] | None = field(default=None, converter=_done)
    entry: tuple[Action, ...] = field(default=(), converter=listed)
    exit: tuple[Action, ...] = field(default=(), converter=listed)
    type: Kind | None = None
    history: History | None = None
    target: tuple[str, ...] | None = field(default=None, converter=_targets)
    output: object = None
    tags: frozenset[str] = field(default=frozenset(), converter=_tags)
    meta: object = None
    id: str | None = None

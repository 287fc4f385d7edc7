"""Actions: frozen values that describe the effects of entering, leaving and moving."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from attrs import field, frozen

from arvo.statechart.definition.commands import Act, Cancel, Command, Emit, Schedule, Send
from arvo.statechart.definition.guards import Guard

# Any, not type variables: a context and an event differ from chart to chart and from key to key,
# and inference through nested dicts of lambdas would ask users to annotate every lambda.
Function: TypeAlias = Callable[..., Any]
# The usual form: a function of context and event. In a config it may take params as a third.
Expression: TypeAlias = Callable[[Any, Any], Any]
Delay: TypeAlias = float | timedelta | str | Function


@frozen
class Assign:
    """Replaces the context. The actions that follow see the new one.

    *update* is either a function of context and event that returns the whole new context, or a
    mapping from field to a value or to a function of context and event. All of these functions
    see the old context.
    """

    update: Function | Mapping[str, object]


@frozen
class Raise:
    """Puts *event* on the chart's internal queue, so it is processed in the same macrostep."""

    event: object


@frozen
class CommandTemplate:
    """A command whose *parts* may be functions. The step calls them and then builds the command."""

    kind: type[Emit] | type[Send] | type[Schedule] | type[Cancel] | type[Act]
    parts: tuple[Any, ...]


def to_actions(actions: "Actions") -> "tuple[Action, ...]":
    """Return one action or several as a tuple."""
    if isinstance(actions, str):
        raise TypeError(
            f"expected an action, got the name {actions!r}: "
            "pass a function or an action, or load the config with from_xstate(actions=...)"
        )
    return tuple(actions) if isinstance(actions, Iterable) else (actions,)


@frozen
class Branch:
    """Actions that run if *guard* holds; without a guard they always run."""

    actions: "tuple[Action, ...]" = field(converter=to_actions)
    guard: Guard | None = None


@frozen
class Choose:
    """Runs the first of *branches* whose guard holds.

    Every guard sees the context as it was when the action started.
    """

    branches: tuple[Branch, ...]


@frozen
class NamedAction:
    """An action that a definition refers to by *name*, with the action that implements it."""

    name: str
    params: object
    action: "Action"


# A plain function of context and event returns the actions to run: one, several, or None.
Action: TypeAlias = Assign | Raise | CommandTemplate | Choose | NamedAction | Command | Function
Actions: TypeAlias = Action | Iterable[Action]


def assign(
    update: Expression | Callable[[Any, Any, Any], Any] | None = None,
    /,
    **fields: Expression | object,
) -> Assign:
    """Change the context: by a function that returns the new one, or field by field.

    Raises ``TypeError`` unless exactly one of the two forms is used.

    >>> assign(count=lambda context, event: context["count"] + 1).update.keys()
    dict_keys(['count'])
    """
    if (update is None) == (not fields):
        raise TypeError("assign takes either one function or named fields")
    return Assign(fields if update is None else update)


def raise_(
    event: Expression | object,
    *,
    delay: Delay | None = None,
    id: str | None = None,  # noqa: A002
) -> Raise | CommandTemplate:
    """Raise *event* inside the chart.

    *event* is an event, an event type, or a function of context and event that returns one. With
    a *delay* (milliseconds, a timedelta, the name of a delay, or a function) the action becomes a
    timer called *id*.
    """
    return Raise(event) if delay is None else CommandTemplate(Schedule, (event, delay, id))


def send(
    event: Expression | object,
    *,
    delay: Delay | None = None,
    id: str | None = None,  # noqa: A002
) -> CommandTemplate:
    """Send *event* to the chart through its external queue, behind the events already waiting."""
    return CommandTemplate(Send, (event, delay, id))


def emit(event: Expression | object) -> CommandTemplate:
    """Emit *event*, or the event that a function of context and event returns, to the caller."""
    return CommandTemplate(Emit, (event,))


def cancel(id: str | Expression) -> CommandTemplate:  # noqa: A002
    """Cancel the timers called *id*."""
    return CommandTemplate(Cancel, (id,))


def act(type: str, params: Expression | object = None) -> CommandTemplate:  # noqa: A002
    """Ask the caller to run the custom action *type*; *params* may be a function."""
    return CommandTemplate(Act, (type, params))


def choose(*branches: Branch) -> Choose:
    """Run the actions of the first branch whose guard holds."""
    return Choose(branches)

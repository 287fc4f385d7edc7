"""Actions: what a chart does when it enters, leaves or moves, said as frozen values."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from attrs import field, frozen

from arvo.statechart.definition.commands import Act, Cancel, Command, Emit, Schedule, Send
from arvo.statechart.definition.guards import Guard

# Any, not type variables: a context and an event differ from chart to chart and from key to key,
# and inference through nested dicts of lambdas would ask users to annotate every lambda.
Function: TypeAlias = Callable[..., Any]
# What most functions are: of context and event. Those in a config may take params as a third.
Maker: TypeAlias = Callable[[Any, Any], Any]
Delay: TypeAlias = float | timedelta | str | Function


@frozen
class Assign:
    """A new context, in effect for the actions behind it.

    *update* is a function of context and event that returns the whole new context, or a mapping
    of field to value, or to a function of context and event; all of them see the old context.
    """

    update: Function | Mapping[str, object]


@frozen
class Raise:
    """An event for the chart itself, heard in this same macrostep."""

    event: object


@frozen
class Make:
    """A command still to be made: those of its *parts* that are functions are called first."""

    kind: type[Emit] | type[Send] | type[Schedule] | type[Cancel] | type[Act]
    parts: tuple[Any, ...]


def listed(actions: "Actions") -> "tuple[Action, ...]":
    """Make one tuple of one action or several."""
    if isinstance(actions, str):
        raise TypeError(f"{actions!r} is a name, not an action: names are for from_xstate")
    return tuple(actions) if isinstance(actions, Iterable) else (actions,)


@frozen
class Branch:
    """Actions that run where *guard* holds, or always where there is none."""

    actions: "tuple[Action, ...]" = field(converter=listed)
    guard: Guard | None = None


@frozen
class Choose:
    """The first branch that holds; all guards see the context as it was when this began."""

    branches: tuple[Branch, ...]


@frozen
class Named:
    """An action that a definition calls by *name*, and what it stands for."""

    name: str
    params: object
    action: "Action"


# A plain function of context and event returns the actions to run: one, several, or none.
Action: TypeAlias = Assign | Raise | Make | Choose | Named | Command | Function
Actions: TypeAlias = Action | Iterable[Action]


def assign(
    update: Maker | Callable[[Any, Any, Any], Any] | None = None, /, **fields: Maker | object
) -> Assign:
    """Change the context: by a function that returns the new one, or field by field.

    >>> assign(count=lambda context, event: context["count"] + 1).update.keys()
    dict_keys(['count'])
    """
    if (update is None) == (not fields):
        raise TypeError("assign takes either one function or named fields")
    return Assign(fields if update is None else update)


def raise_(
    event: Maker | object,
    *,
    delay: Delay | None = None,
    id: str | None = None,  # noqa: A002
) -> Raise | Make:
    """Raise *event* (an event, a type, or a function that makes one) inside the chart.

    With a *delay* (milliseconds, a timedelta, a name, or a function) it becomes a timer.
    """
    return Raise(event) if delay is None else Make(Schedule, (event, delay, id))


def send(event: Maker | object, *, delay: Delay | None = None, id: str | None = None) -> Make:  # noqa: A002
    """Send *event* to the chart through the queue outside, behind what already waits there."""
    return Make(Send, (event, delay, id))


def emit(event: Maker | object) -> Make:
    """Emit *event*, or what a function of context and event makes of it, to the outside."""
    return Make(Emit, (event,))


def cancel(id: str | Maker) -> Make:  # noqa: A002
    """Cancel the timers called *id*."""
    return Make(Cancel, (id,))


def act(type: str, params: Maker | object = None) -> Make:  # noqa: A002
    """Leave the custom action *type* to the caller; *params* may be a function."""
    return Make(Act, (type, params))


def choose(*branches: Branch) -> Choose:
    """Run the actions of the first branch whose guard holds."""
    return Choose(branches)

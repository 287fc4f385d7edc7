"""Faults: the reasons why a chart stopped, as values."""

from typing import TypeAlias

from attrs import field, frozen


@frozen
class GuardFault:
    """A guard raised an exception, so the event changed nothing.

    *state* is the id of the state whose transition has the guard. *reason* is the class and text
    of the exception. *cause* is the exception itself; it is not part of a dump.
    """

    guard: str
    state: str
    event: str
    reason: str
    cause: BaseException | None = field(default=None, eq=False, repr=False)


@frozen
class ActionFault:
    """An action, an output or the context function raised, so the event changed nothing.

    *action* is its place in the chart: ``m.paying entry: charge``.
    """

    action: str
    event: str
    reason: str
    cause: BaseException | None = field(default=None, eq=False, repr=False)


@frozen
class LoopFault:
    """The chart was not stable after *steps* microsteps. *loop* holds the repeated transitions."""

    event: str
    steps: int
    loop: tuple[str, ...]


@frozen
class UnhandledFault:
    """An actor's error event that no state handles."""

    event: str
    reason: str


Fault: TypeAlias = GuardFault | ActionFault | LoopFault | UnhandledFault


def describe_error(error: BaseException) -> str:
    """Return the class and text of *error*, without its stack."""
    return f"{type(error).__name__}: {error}"

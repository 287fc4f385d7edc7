"""Faults: why a chart stopped, as values."""

from typing import TypeAlias

from attrs import field, frozen


@frozen
class GuardFault:
    """A guard raised, so the event changed nothing.

    *state* is the id of the state whose transition asked, *reason* the exception's class and
    text; *cause* is the exception itself, while it is in memory.
    """

    guard: str
    state: str
    event: str
    reason: str
    cause: Exception | None = field(default=None, eq=False, repr=False)


@frozen
class ActionFault:
    """An action, an output or the context raised, so the event changed nothing.

    *action* says where: ``m.paying entry: charge``.
    """

    action: str
    event: str
    reason: str
    cause: Exception | None = field(default=None, eq=False, repr=False)


@frozen
class LoopFault:
    """The chart did not come to rest within *steps* microsteps; *loop* is what it repeated."""

    event: str
    steps: int
    loop: tuple[str, ...]


@frozen
class UnhandledFault:
    """An actor's error event that no state handles."""

    event: str
    reason: str


Fault: TypeAlias = GuardFault | ActionFault | LoopFault | UnhandledFault


def reason(error: Exception) -> str:
    """Say what *error* is and says, without its stack."""
    return f"{type(error).__name__}: {error}"

"""Composed: a handler's function that is made of others."""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeAlias, TypeVar, final

from attrs import frozen

from arvo.core.command import Command
from arvo.core.events.event import Event
from arvo.core.violations.issue import short
from arvo.handlers.effect import Effects

A = TypeVar("A")

# A generator that runs the parts; told whether a `Fail` tells where it came from.
Program: TypeAlias = Callable[[Any, bool], Effects[tuple[Command, ...]]]


@final
@frozen(eq=False, repr=False)
class Composed(Generic[A]):
    """A function that `arvo.compose` made: called like any other, and known by its *parts*.

    *operation* is the name of what made it. Called by itself it returns commands, or a generator
    where a part asks for an effect.
    """

    operation: str
    parts: tuple[object, ...]
    program: Program

    def __call__(self, event: Event[A]) -> tuple[Command, ...] | Effects[tuple[Command, ...]]:
        """Answer an event."""
        running = self.program(event, False)  # noqa: FBT003 - no stack is told unless asked
        try:
            wanted = next(running)
        except StopIteration as stop:
            commands: tuple[Command, ...] = stop.value
            return commands
        return _resumed(running, wanted)

    def __repr__(self) -> str:
        return f"{self.operation}({', '.join(map(called, self.parts))})"


def begun(function: Callable[..., Any], argument: object, *, stack: bool) -> Any:
    """Call a handler's function; one that is composed is told whether stacks are wanted."""
    if isinstance(function, Composed):
        return function.program(argument, stack)
    return function(argument)


def called(function: object) -> str:
    """Name a function for messages."""
    return str(getattr(function, "__name__", None) or short(function))


def _resumed(
    running: Effects[tuple[Command, ...]], wanted: Any
) -> Generator[Any, Any, tuple[Command, ...]]:
    # A `yield from` that begins one effect late: it had to be seen whether there is any.
    try:
        while True:
            try:
                value = yield wanted
            except Exception as error:  # noqa: BLE001 - whatever the effect raised is the part's
                wanted = running.throw(error)
            else:
                wanted = running.send(value)
    except StopIteration as stop:
        commands: tuple[Command, ...] = stop.value
        return commands
    finally:
        running.close()

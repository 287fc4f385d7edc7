"""Composed: a handler's function that is made of other functions."""

from collections.abc import Callable, Generator
from inspect import unwrap
from types import CodeType
from typing import Any, Generic, TypeAlias, TypeVar, final

from attrs import frozen

from arvo.core.command import Command
from arvo.core.events.event import Event
from arvo.core.violations.issue import short_repr
from arvo.handlers.effect import Effects
from arvo.handlers.generators import close_generator, code_place

A = TypeVar("A")

# A generator that runs the parts. Its arguments are the event and whether a `Fail` carries a stack.
Program: TypeAlias = Callable[[Any, bool], Effects[tuple[Command, ...]]]


@final
@frozen(eq=False, repr=False)
class Composed(Generic[A]):
    """A function that `arvo.compose` made: called like any other, and identified by its *parts*.

    *operation* is the name of the function that made it. A direct call returns commands, or a
    generator where a part asks for an effect.
    """

    operation: str
    parts: tuple[object, ...]
    program: Program

    def __call__(self, event: Event[A]) -> tuple[Command, ...] | Effects[tuple[Command, ...]]:
        """Answer an event."""
        running = self.program(event, False)  # noqa: FBT003 - a direct call asks for no stack
        try:
            effect = next(running)
        except StopIteration as stop:
            commands: tuple[Command, ...] = stop.value
            return commands
        return _resume(running, effect)

    def __repr__(self) -> str:
        return f"{self.operation}({', '.join(map(display_name, self.parts))})"


def start(function: Callable[..., Any], argument: object, *, stack: bool) -> Any:
    """Call a handler's function, and pass *stack* on to a composed one."""
    if isinstance(function, Composed):
        return function.program(argument, stack)
    return function(argument)


def display_name(function: object) -> str:
    """Return a function's name for messages."""
    return str(getattr(function, "__name__", None) or short_repr(function))


def function_place(function: Any) -> str:
    """Return the name of a function, and its file and line where it has any."""
    plain = unwrap(function)
    code = getattr(plain, "__code__", None)
    name = display_name(plain)
    return f"{name} at {code_place(code)}" if isinstance(code, CodeType) else name


def _resume(
    running: Effects[tuple[Command, ...]], effect: Any
) -> Generator[Any, Any, tuple[Command, ...]]:
    # A `yield from` that starts one effect late: the first effect was taken to see if there is one.
    try:
        while True:
            try:
                value = yield effect
            except Exception as error:  # noqa: BLE001 - the part may catch any error of its effect
                effect = running.throw(error)
            else:
                effect = running.send(value)
    except StopIteration as stop:
        commands: tuple[Command, ...] = stop.value
        return commands
    finally:
        close_generator(running)

"""RunPart: runs the parts of a composed function: functions, predicates and conversions."""

from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from attrs import evolve, fields

from arvo.core.command import Command, Emit, Fail, Violate
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.annotations import is_async
from arvo.handlers.composed import Composed, Program, display_name, start
from arvo.handlers.effect import Effects
from arvo.handlers.generators import close_generator
from arvo.handlers.invoke import (
    COMMANDS_MAX,
    normalise,
    to_commands,
    to_violation,
)
from arvo.interrupts import is_interrupt

A = TypeVar("A")

Predicate: TypeAlias = Callable[[Event[A]], bool | Effects[bool]]


def run_part(
    function: Callable[..., Any], argument: object, stack: bool
) -> Effects[tuple[Command, ...]]:
    """Run a part to its end; return its commands, normalised: a `Fail` or `Violate` comes last.

    Exceptions are converted as `invoke` does: `Violated` to its `Violate`, any other to a `Fail`.
    """
    try:
        returned = start(function, argument, stack=stack)
        if isinstance(returned, Generator):
            returned = yield from _delegate(returned)
        return normalise(to_commands(returned))
    except Violated as violated:
        return (Violate(to_violation(violated.violation, "raise")),)
    except BaseException as error:
        if is_interrupt(error):
            raise
        # Any exception of a handler is a system error (tier 2).
        return (Fail.of(error, stack=stack, unhandled=True),)


def _delegate(generator: Generator[Any, Any, Any]) -> Effects[Any]:
    try:
        return (yield from generator)
    finally:
        # A `finally` of the part may ask for effects; none is performed after the run has ended.
        close_generator(generator)


def is_terminal(commands: Sequence[object]) -> bool:
    """Return True if normalised commands end in a `Fail` or a `Violate`."""
    return bool(commands) and isinstance(commands[-1], Fail | Violate)


def expand(
    items: Sequence[Any], kind: type, function: Callable[..., Any], stack: bool
) -> Effects[tuple[Command, ...]]:
    """Replace each item of type *kind* by the commands that *function* returns for it.

    The other items are commands and stay. The first `Fail` or `Violate` stops the run; it is
    returned with the `Log` commands alone.
    """
    expanded: list[Any] = []
    for position, item in enumerate(items):
        if not isinstance(item, kind):
            expanded.append(item)
            continue
        commands = yield from run_part(function, item, stack)
        if len(expanded) + len(commands) > COMMANDS_MAX:
            issue = Issue("return", f"at most {COMMANDS_MAX} commands", "more")
            commands = (
                Violate(ExecutionViolation("the handler returns too many commands", issue)),
            )
        expanded += commands
        if is_terminal(commands):
            return normalise((*expanded, *items[position + 1 :]))
    return tuple(expanded)


def handed_event(event: Event[Any], emit: Emit) -> Event[Any]:
    """Return the event that passes an `Emit` to the next function: *event* with its payload.

    Raises `Violated` where the payload is invalid, and where the `Emit` sets an option, which would
    be lost.
    """
    bare = Emit(emit.payload, type=emit.type)
    issues = tuple(
        Issue(f"emit.{option.name}", _UNSUPPORTED, short_repr(getattr(emit, option.name)))
        for option in fields(Emit)
        if option.name != "payload" and getattr(emit, option.name) != getattr(bare, option.name)
    )
    if issues:
        raise Violated(
            ExecutionViolation("an Emit that the next function receives has no options", issues)
        )
    typed = event if emit.type is None else evolve(event, type=emit.type)
    if emit.payload is event.data:
        return typed
    return evolve(typed, data=emit.payload, wire=None)


_UNSUPPORTED = "nothing (set it where the last function emits, or by `annotate`)"


def evaluate(predicate: Callable[..., Any], event: object) -> Effects[bool]:
    """Call a predicate; raises `Violated` unless it returns True or False."""
    result = predicate(event)
    if isinstance(result, Generator):
        result = yield from _delegate(result)
    if isinstance(result, bool):
        return result
    # Strict, because the coroutine of an `async` check is truthy and would allow every event.
    if isinstance(result, Coroutine):
        close_generator(result)
    expected = "True or False (I/O by `yield from call(...)`)"
    issue = Issue(display_name(predicate), expected, short_repr(result))
    raise Violated(ExecutionViolation("a predicate returns neither True nor False", issue))


def convert_payload(convert: Callable[[Any], object], payload: object) -> object:
    """Call a conversion; raises `Violated` where it is a generator or an async function."""
    converted = convert(payload)
    if isinstance(converted, Generator | Coroutine):
        close_generator(converted)
        expected = "a payload (a handler's function asks for I/O, a conversion cannot)"
        issue = Issue(display_name(convert), expected, short_repr(converted))
        raise Violated(ExecutionViolation("a payload is converted by a plain function", issue))
    return converted


def make_composed(operation: str, parts: Sequence[object], program: Program) -> Composed[Any]:
    """Make a composed function; raises `Violated` where a part is no function."""
    issues = tuple(
        Issue(f"{operation}[{position}]", expected, got)
        for position, part in enumerate(parts)
        for expected, got in _mistakes(part)
    )
    if issues:
        message = f"{operation} takes functions (to make one of two EventHandlers, use fuse)"
        raise Violated(ConfigViolation(message, issues))
    return Composed(operation, tuple(parts), program)


def _mistakes(part: object) -> Iterator[tuple[str, str]]:
    if not callable(part):
        yield "a function", short_repr(part)
    elif is_async(part):
        yield "a plain function, with I/O by `yield from call(...)`", f"async {display_name(part)}"

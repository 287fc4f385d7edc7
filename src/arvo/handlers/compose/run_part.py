"""Part: a function that runs as a part of a composed one."""

from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, TypeAlias, TypeVar

from attrs import evolve, fields

from arvo.core.command import Command, Emit, Fail, Violate
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.composed import Composed, Program, begun, called
from arvo.handlers.effect import Effects
from arvo.handlers.invoke import COMMANDS_MAX, closed, commands_of, settled, violation_of

A = TypeVar("A")

Predicate: TypeAlias = Callable[[Event[A]], bool | Effects[bool]]


def play(
    function: Callable[..., Any], argument: object, stack: bool
) -> Effects[tuple[Command, ...]]:
    """Run a part to its end and say what it wants, settled: a `Fail` or `Violate` comes last.

    What escapes is taken as `reply` takes it: an exception as a `Fail`, `Violated` as its
    `Violate`.
    """
    try:
        returned = begun(function, argument, stack=stack)
        if isinstance(returned, Generator):
            returned = yield from _to_its_end(returned)
        return settled(commands_of(returned))
    except Violated as violated:
        return (Violate(violation_of(violated.violation, "raise")),)
    except Exception as error:  # noqa: BLE001 - tier 2 is defined as whatever escapes (F097)
        return (Fail.of(error, stack=stack),)


def _to_its_end(generator: Generator[Any, Any, Any]) -> Effects[Any]:
    try:
        return (yield from generator)
    finally:
        # A `finally` of the part's own may ask for effects, where nobody listens any more.
        closed(generator)


def halts(commands: Sequence[object]) -> bool:
    """Tell whether settled commands end in a `Fail` or a `Violate`."""
    return bool(commands) and isinstance(commands[-1], Fail | Violate)


def replace(
    items: Sequence[Any], kind: type, function: Callable[..., Any], stack: bool
) -> Effects[tuple[Command, ...]]:
    """Put in place of each item of *kind* what *function* answers to it; the others are commands.

    At the first that fails nothing more is run: what it says stands alone, but for the logs.
    """
    made: list[Any] = []
    for position, item in enumerate(items):
        if not isinstance(item, kind):
            made.append(item)
            continue
        answered = yield from play(function, item, stack)
        if len(made) + len(answered) > COMMANDS_MAX:
            issue = Issue("return", f"at most {COMMANDS_MAX} commands", "more")
            answered = (Violate(ExecutionViolation("the handler does not come to an end", issue)),)
        made += answered
        if halts(answered):
            return settled((*made, *items[position + 1 :]))
    return tuple(made)


def carrying(event: Event[Any], emit: Emit) -> Event[Any]:
    """Make the event that hands an `Emit` on to the next function: *event*, with its payload.

    Raises `Violated` where the payload cannot travel, or the `Emit` says what nobody would heed.
    """
    bare = Emit(emit.payload, type=emit.type)
    issues = tuple(
        Issue(f"emit.{each.name}", _UNHEEDED, short(getattr(emit, each.name)))
        for each in fields(Emit)
        if each.name != "payload" and getattr(emit, each.name) != getattr(bare, each.name)
    )
    if issues:
        raise Violated(
            ExecutionViolation("an Emit that is handed on to the next function is not sent", issues)
        )
    named = event if emit.type is None else evolve(event, type=emit.type)
    if emit.payload is event.data:
        return named
    return evolve(named, data=emit.payload, wire=None)


_UNHEEDED = "nothing (say it where the last function emits, or by `annotate`)"


def holds(predicate: Callable[..., Any], event: object) -> Effects[bool]:
    """Ask a predicate; raises `Violated` unless it says yes or no."""
    said = predicate(event)
    if isinstance(said, Generator):
        said = yield from _to_its_end(said)
    if isinstance(said, bool):
        return said
    # Strict, or the coroutine of an `async` check would let everybody in.
    if isinstance(said, Coroutine):
        said.close()
    issue = Issue(called(predicate), "True or False (I/O by `yield from call(...)`)", short(said))
    raise Violated(ExecutionViolation("a predicate says neither yes nor no", issue))


def mapped(convert: Callable[[Any], object], payload: object) -> object:
    """Convert a payload; raises `Violated` where that is no plain function."""
    made = convert(payload)
    if isinstance(made, Generator | Coroutine):
        made.close()
        issue = Issue(called(convert), "a payload (I/O is a handler's function's)", short(made))
        raise Violated(ExecutionViolation("a payload is converted by a plain function", issue))
    return made


def composed(operation: str, parts: Sequence[object], program: Program) -> Composed[Any]:
    """Make a composed function; raises `Violated` where a part is none."""
    issues = tuple(
        Issue(f"{operation}[{position}]", "a function", short(part))
        for position, part in enumerate(parts)
        if not callable(part)
    )
    if issues:
        message = f"{operation} takes functions (to make one of two EventHandlers, use fuse)"
        raise Violated(ConfigViolation(message, issues))
    return Composed(operation, tuple(parts), program)

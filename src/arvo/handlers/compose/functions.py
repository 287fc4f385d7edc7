"""Compose: handlers' functions made of others, by an algebra whose laws are stated.

The laws hold for what the functions want: their commands, in order, and the effects they ask for.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from arvo.core.command import Command, Emit, Fail
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.compose.run_part import (
    Predicate,
    carrying,
    composed,
    holds,
    mapped,
    play,
    replace,
)
from arvo.handlers.composed import Composed, called
from arvo.handlers.effect import Effects
from arvo.handlers.event_handler import HandlerFunction
from arvo.handlers.invoke import Reply

A = TypeVar("A")
B = TypeVar("B")


def identity(event: Event[Any]) -> Emit:
    """Emit what came: the unit of `sequence`."""
    return Emit(event.data)


def sequence(first: HandlerFunction[A], *following: HandlerFunction[Any]) -> HandlerFunction[A]:
    """Hand each payload that a function emits to the next one; the last one's are sent.

    Each function sees the consumed event with the payload handed on (and the type, where the `Emit`
    names one), and answers all that the one before it emitted before the next one begins. Other
    commands are kept where they stand. What the last function says of its events is kept; a `to`,
    a `domain` or the like on an `Emit` that is only handed on cannot be heeded, and is a violation.

    Laws:

    - identity: `sequence(identity, f)` and `sequence(f, identity)` are `f`.
    - associativity: `sequence(f, sequence(g, h))` and `sequence(sequence(f, g), h)` are
      `sequence(f, g, h)`, with the same effects in the same order.
    - short circuit: where `f` fails or violates, `sequence(f, g)` is `f`, and `g` is not run. A
      failure of `g` stands alone, but for each `Log` before it.
    """
    stages = tuple(stage for each in (first, *following) for stage in _stages(each))

    def program(event: Event[Any], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from play(stages[0], event, stack)
        for stage in stages[1:]:
            commands = yield from replace(commands, Emit, _handing(stage, event), stack)
        return commands

    made = composed("sequence", stages, program)
    return made if len(stages) > 1 else stages[0] if stages else identity


def _stages(function: Any) -> tuple[Any, ...]:
    # Taken apart, because a reply that is a whole list of commands is not associative by itself:
    # nested, the effects of one emission would be asked for before or after those of its sister.
    if function is identity:
        return ()
    if isinstance(function, Composed) and function.operation == "sequence":
        return function.parts
    return (function,)


def _handing(stage: Any, event: Event[Any]) -> Composed[Any]:
    def program(emit: Emit, stack: bool) -> Effects[tuple[Command, ...]]:
        return (yield from play(stage, carrying(event, emit), stack))

    return composed("stage", (stage,), program)


def choose(
    *branches: tuple[Predicate[A], HandlerFunction[A]],
    otherwise: HandlerFunction[A] | None = None,
) -> HandlerFunction[A]:
    """Answer with the first function whose predicate holds, or else with *otherwise*.

    Branches are pairs of a predicate of the event and a function. A predicate says True or False;
    it may ask for effects. Where none holds and there is no *otherwise*, it is a violation.

    Laws:

    - first match: `choose((p, f), ..., otherwise=g)` is `f` where `p` holds, and
      `choose(..., otherwise=g)` where it does not; `choose(otherwise=g)` is `g`.
    - `sequence(choose((p, f), otherwise=g), h)` is
      `choose((p, sequence(f, h)), otherwise=sequence(g, h))`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        for predicate, function in branches:
            if (yield from holds(predicate, event)):
                return (yield from play(function, event, stack))
        if otherwise is not None:
            return (yield from play(otherwise, event, stack))
        names = ", ".join(called(predicate) for predicate, _ in branches) or "no branch"
        expected = f"what one of these holds for: {names} (or say choose(..., otherwise=...))"
        issue = Issue("event.data", expected, short(event.data))
        raise Violated(ExecutionViolation("no branch takes this event", issue))

    parts = [part for branch in branches for part in _pair(branch)]
    return composed("choose", parts if otherwise is None else [*parts, otherwise], program)


def _pair(branch: object) -> tuple[object, ...]:
    if isinstance(branch, tuple) and len(branch) == 2:
        return branch
    issue = Issue("choose", "pairs of a predicate and a function", short(branch))
    raise Violated(ConfigViolation("this choice cannot be", issue))


def recover(
    function: HandlerFunction[A], with_: Callable[[Event[A], Fail], Reply]
) -> HandlerFunction[A]:
    """Where *function* fails, answer what *with_* makes of the event and the `Fail`.

    An exception that escapes is a `Fail` as well, with the exception's name. What *function* logged
    stays, before what *with_* wants. A violation is not recovered from: somebody else must act.

    Laws:

    - where `f` does not fail, or violates, `recover(f, w)` is `f`.
    - where `f` wants nothing but `fail`, `recover(f, w)` is `w(event, fail)`.
    - `recover(f, lambda event, fail: fail)` is `f`.
    - `recover(recover(f, v), w)` is `recover(f, x)` where `x` is `v`, recovered from with `w`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        match (yield from play(function, event, stack)):
            case (*said, Fail() as fail):
                recovered = yield from play(partial(with_, event), fail, stack)
                return (*said, *recovered)
            case commands:
                return commands

    return composed("recover", (function, with_), program)


def map_input(function: HandlerFunction[A], convert: Callable[[B], A]) -> HandlerFunction[B]:
    """Let *function* see *convert* of the event's payload.

    Laws: `map_input(f, lambda x: x)` is `f`; `map_input(map_input(f, a), b)` is
    `map_input(f, lambda x: a(b(x)))`; `map_input(f, a)` is
    `sequence(lambda event: Emit(a(event.data)), f)`.
    """

    def program(event: Event[B], stack: bool) -> Effects[tuple[Command, ...]]:
        handed = carrying(event, Emit(mapped(convert, event.data)))
        return (yield from play(function, handed, stack))

    return composed("map_input", (function, convert), program)


def map_output(
    function: HandlerFunction[A], convert: Callable[[Any], object]
) -> HandlerFunction[A]:
    """Emit *convert* of each payload that *function* emits, and all else as it is.

    An `Emit` that names a type keeps it: where the type changes with the payload, name none.

    Laws, for conversions that do not raise: `map_output(f, lambda x: x)` is `f`;
    `map_output(map_output(f, a), b)` is `map_output(f, lambda x: b(a(x)))`; `map_output(sequence(f,
    g), a)` is `sequence(f, map_output(g, a))`.
    """

    def converted(emit: Emit) -> Emit:
        return evolve(emit, payload=mapped(convert, emit.payload))

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from play(function, event, stack)
        return (yield from replace(commands, Emit, converted, stack))

    return composed("map_output", (function, convert), program)

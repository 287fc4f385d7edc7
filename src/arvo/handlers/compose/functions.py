"""Functions: combinators that make a handler's function of others, each with its laws.

Two functions are equal in these laws if they return equal commands in the same order and ask for
equal effects in the same order.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from arvo.core.command import Command, Emit, Fail
from arvo.core.events.event import Event
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, ExecutionViolation, Violated
from arvo.handlers.compose.run_part import (
    Predicate,
    convert_payload,
    evaluate,
    expand,
    handed_event,
    make_composed,
    run_part,
)
from arvo.handlers.composed import Composed, display_name
from arvo.handlers.effect import Effects
from arvo.handlers.event_handler import HandlerFunction
from arvo.handlers.invoke import HandlerReturn

A = TypeVar("A")
B = TypeVar("B")


def identity(event: Event[Any]) -> Emit:
    """Emit the event's own payload: the unit of `sequence`.

    >>> from types import SimpleNamespace
    >>> identity(SimpleNamespace(data={"n": 1})).payload
    {'n': 1}
    """
    return Emit(event.data)


def sequence(first: HandlerFunction[A], *following: HandlerFunction[Any]) -> HandlerFunction[A]:
    """Hand each payload that a function emits to the next one; the last function's are sent.

    Each function receives the consumed event with the payload handed on (and the type, where the
    `Emit` names one). It answers all payloads that the function before it emitted before the next
    one starts. Other commands keep their position. Options such as `to` or `domain` count on the
    events of the last function. On an `Emit` that is only handed on they would be lost, so they are
    a violation.

    Laws:

    - identity: `sequence(identity, f)` and `sequence(f, identity)` are `f`.
    - associativity: `sequence(f, sequence(g, h))` and `sequence(sequence(f, g), h)` are
      `sequence(f, g, h)`, with the same effects in the same order.
    - short circuit: where `f` fails or violates, `sequence(f, g)` is `f`, and `g` is not run. Where
      `g` fails or violates, only each `Log` before it remains.
    """
    stages = tuple(stage for function in (first, *following) for stage in _stages(function))

    def program(event: Event[Any], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from run_part(stages[0], event, stack)
        for stage in stages[1:]:
            commands = yield from expand(commands, Emit, _handing_on(stage, event), stack)
        return commands

    made = make_composed("sequence", stages, program)
    return made if len(stages) > 1 else stages[0] if stages else identity


def _stages(function: Any) -> tuple[Any, ...]:
    # Flattened, because nesting is not associative where a function emits several payloads: a
    # nested sequence would finish the effects of one payload before it starts those of the next.
    if function is identity:
        return ()
    if isinstance(function, Composed) and function.operation == "sequence":
        return function.parts
    return (function,)


def _handing_on(stage: Any, event: Event[Any]) -> Composed[Any]:
    def program(emit: Emit, stack: bool) -> Effects[tuple[Command, ...]]:
        return (yield from run_part(stage, handed_event(event, emit), stack))

    return make_composed("stage", (stage,), program)


def choose(
    *branches: tuple[Predicate[A], HandlerFunction[A]],
    otherwise: HandlerFunction[A] | None = None,
) -> HandlerFunction[A]:
    """Answer with the first function whose predicate holds, or else with *otherwise*.

    Branches are pairs of a predicate of the event and a function. A predicate returns True or
    False; it may ask for effects. Where none holds and there is no *otherwise*, the result is a
    violation.

    Laws:

    - first match: `choose((p, f), ..., otherwise=g)` is `f` where `p` holds, and
      `choose(..., otherwise=g)` where it does not; `choose(otherwise=g)` is `g`.
    - `sequence(choose((p, f), otherwise=g), h)` is
      `choose((p, sequence(f, h)), otherwise=sequence(g, h))`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        for predicate, function in branches:
            if (yield from evaluate(predicate, event)):
                return (yield from run_part(function, event, stack))
        if otherwise is not None:
            return (yield from run_part(otherwise, event, stack))
        names = ", ".join(display_name(predicate) for predicate, _ in branches) or "no branch"
        expected = f"an event for which one of these holds: {names} (or pass otherwise=...)"
        issue = Issue("event.data", expected, short_repr(event.data))
        raise Violated(ExecutionViolation("no branch accepts this event", issue))

    parts = [part for branch in branches for part in _pair(branch)]
    return make_composed("choose", parts if otherwise is None else [*parts, otherwise], program)


def _pair(branch: object) -> tuple[object, ...]:
    if isinstance(branch, tuple) and len(branch) == 2:
        return branch
    issue = Issue("choose", "pairs of a predicate and a function", short_repr(branch))
    raise Violated(ConfigViolation("the branches of choose are invalid", issue))


def recover(
    function: HandlerFunction[A], with_: Callable[[Event[A], Fail], HandlerReturn]
) -> HandlerFunction[A]:
    """Where *function* fails, answer with the result of *with_* for the event and the `Fail`.

    An exception that escapes is a `Fail` as well, with the exception's name. The `Log` commands of
    *function* stay, before the commands of *with_*. There is no recovery from a violation: the
    sender, the operator or the author must act.

    Laws:

    - where `f` does not fail, or violates, `recover(f, w)` is `f`.
    - where `f` returns `fail` alone, `recover(f, w)` is `w(event, fail)`.
    - `recover(f, lambda event, fail: fail)` is `f`.
    - `recover(recover(f, v), w)` is `recover(f, x)` where `x` is `v`, recovered from with `w`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        match (yield from run_part(function, event, stack)):
            case (*logs, Fail() as fail):
                recovered = yield from run_part(partial(with_, event), fail, stack)
                return (*logs, *recovered)
            case commands:
                return commands

    return make_composed("recover", (function, with_), program)


def map_input(function: HandlerFunction[A], convert: Callable[[B], A]) -> HandlerFunction[B]:
    """Apply *convert* to the event's payload before *function* sees it.

    Laws: `map_input(f, lambda x: x)` is `f`; `map_input(map_input(f, a), b)` is
    `map_input(f, lambda x: a(b(x)))`; `map_input(f, a)` is
    `sequence(lambda event: Emit(a(event.data)), f)`.
    """

    def program(event: Event[B], stack: bool) -> Effects[tuple[Command, ...]]:
        handed = handed_event(event, Emit(convert_payload(convert, event.data)))
        return (yield from run_part(function, handed, stack))

    return make_composed("map_input", (function, convert), program)


def map_output(
    function: HandlerFunction[A], convert: Callable[[Any], object]
) -> HandlerFunction[A]:
    """Apply *convert* to each payload that *function* emits; other commands do not change.

    An `Emit` that names a type keeps it. Name none where the type follows from the new payload.

    Laws, for conversions that do not raise: `map_output(f, lambda x: x)` is `f`;
    `map_output(map_output(f, a), b)` is `map_output(f, lambda x: b(a(x)))`; `map_output(sequence(f,
    g), a)` is `sequence(f, map_output(g, a))`.
    """

    def convert_emit(emit: Emit) -> Emit:
        return evolve(emit, payload=convert_payload(convert, emit.payload))

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from run_part(function, event, stack)
        return (yield from expand(commands, Emit, convert_emit, stack))

    return make_composed("map_output", (function, convert), program)

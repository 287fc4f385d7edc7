"""Wrap: combinators around one handler's function: guard, authorise, annotate."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from attrs import evolve

from arvo.core.command import DEFAULT_DOMAINS, Command, Emit, Fail, Log
from arvo.core.events.domain import DomainRule
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import EMPTY
from arvo.handlers.compose.run_part import Predicate, evaluate, expand, make_composed, run_part
from arvo.handlers.effect import Effects
from arvo.handlers.event_handler import HandlerFunction

A = TypeVar("A")


def guard(function: HandlerFunction[A], check: HandlerFunction[A]) -> HandlerFunction[A]:
    """Run *check* first, and *function* only where *check* returns no command other than `Log`.

    A check returns None to let the event pass. To stop it, it returns a `Fail`, a `Violate` or an
    event in answer.

    Laws: `guard(f, lambda event: None)` is `f`; where `c` returns a command other than `Log`,
    `guard(f, c)` is `c`, and `f` is not run; `guard(guard(f, b), a)` is `guard(f, guard(b, a))`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        checked = yield from run_part(check, event, stack)
        if all(isinstance(command, Log) for command in checked):
            return (*checked, *(yield from run_part(function, event, stack)))
        return checked

    return make_composed("guard", (function, check), program)


def authorise(
    function: HandlerFunction[A], allows: Predicate[A], *, reason: str = "not authorised"
) -> HandlerFunction[A]:
    """Run *function* only where *allows* holds; else fail with *reason*, named Unauthorised.

    *allows* returns True or False, and may ask for effects. Where it raises, *function* does not
    run.

    Laws: where `p` holds, `authorise(f, p)` is `f`, and where not, a `Fail`, and `f` is not run;
    `authorise(authorise(f, p), q)` is `authorise(f, lambda event: q(event) and p(event))`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        if (yield from evaluate(allows, event)):
            return (yield from run_part(function, event, stack))
        return (Fail(reason, name="Unauthorised"),)

    return make_composed("authorise", (function, allows), program)


def annotate(
    function: HandlerFunction[A],
    *logs: Log,
    to: str | None = None,
    domain: DomainRule | Iterable[DomainRule] = DEFAULT_DOMAINS,
    redirectto: str | None = None,
    accesscontrol: str | None = None,
    executionunits: float | None = None,
    extensions: Mapping[str, Any] = EMPTY,
) -> HandlerFunction[A]:
    """Put *logs* before the commands of *function*, and defaults on each `Emit`.

    An option counts where the `Emit` does not set it. Extensions are merged; the `Emit`'s own value
    wins. The options are those of `Emit`.

    Laws: `annotate(f)` is `f`; the same annotation twice, without logs, is the annotation once;
    `annotate(annotate(f, Log(a)), Log(b))` is `annotate(f, Log(b), Log(a))`.
    """
    defaults = Emit(
        None,
        to=to,
        domain=domain,
        redirectto=redirectto,
        accesscontrol=accesscontrol,
        executionunits=executionunits,
        extensions=extensions,
    )

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from run_part(function, event, stack)
        annotate_emit = partial(_with_defaults, defaults)
        return (*logs, *(yield from expand(commands, Emit, annotate_emit, stack)))

    return make_composed("annotate", (function,), program)


def _with_defaults(defaults: Emit, emit: Emit) -> Emit:
    unset = {
        name: getattr(defaults, name)
        for name in ("to", "redirectto", "accesscontrol", "executionunits")
        if getattr(emit, name) is None
    }
    return evolve(
        emit,
        domain=emit.domain or defaults.domain,
        extensions={**defaults.extensions, **emit.extensions},
        **unset,
    )

"""Wrap: functions around a handler's function: guard, authorise, annotate."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import evolve

from arvo.core.command import DEFAULT_DOMAINS, Command, Emit, Fail, Log
from arvo.core.events.domain import DomainRule
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import EMPTY
from arvo.handlers.compose.run_part import Predicate, composed, holds, play, replace
from arvo.handlers.effect import Effects
from arvo.handlers.event_handler import HandlerFunction

A = TypeVar("A")


def guard(function: HandlerFunction[A], check: HandlerFunction[A]) -> HandlerFunction[A]:
    """Let *check* answer first, and *function* only where *check* wants nothing but to log.

    So a check that finds nothing wrong returns None, and one that does returns a `Fail`, a
    `Violate`, or the event that tells of it.

    Laws: `guard(f, lambda event: None)` is `f`; where `c` wants more than to log, `guard(f, c)` is
    `c`, and `f` is not run; `guard(guard(f, b), a)` is `guard(f, guard(b, a))`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        checked = yield from play(check, event, stack)
        if all(isinstance(command, Log) for command in checked):
            return (*checked, *(yield from play(function, event, stack)))
        return checked

    return composed("guard", (function, check), program)


def authorise(
    function: HandlerFunction[A], allows: Predicate[A], *, reason: str = "not authorised"
) -> HandlerFunction[A]:
    """Run *function* only where *allows* holds; else fail by *reason*, with the name Unauthorised.

    *allows* says True or False, and may ask for effects. Where it raises, nothing is allowed.

    Laws: where `p` holds, `authorise(f, p)` is `f`, and where not, a `Fail`, and `f` is not run;
    `authorise(authorise(f, p), q)` is `authorise(f, lambda event: q(event) and p(event))`.
    """

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        if (yield from holds(allows, event)):
            return (yield from play(function, event, stack))
        return (Fail(reason, name="Unauthorised"),)

    return composed("authorise", (function, allows), program)


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
    """Say *logs* before what *function* wants, and the rest on each `Emit` that says none itself.

    Extensions are joined; of one name, the `Emit`'s own stays. All else is as in `Emit`.

    Laws: `annotate(f)` is `f`; an annotation said twice is that annotation said once, but for logs;
    `annotate(annotate(f, Log(a)), Log(b))` is `annotate(f, Log(b), Log(a))`.
    """
    said = Emit(
        None,
        to=to,
        domain=domain,
        redirectto=redirectto,
        accesscontrol=accesscontrol,
        executionunits=executionunits,
        extensions=extensions,
    )

    def annotated(emit: Emit) -> Emit:
        return evolve(
            emit,
            to=said.to if emit.to is None else emit.to,
            domain=emit.domain or said.domain,
            redirectto=said.redirectto if emit.redirectto is None else emit.redirectto,
            accesscontrol=said.accesscontrol if emit.accesscontrol is None else emit.accesscontrol,
            executionunits=said.executionunits
            if emit.executionunits is None
            else emit.executionunits,
            extensions={**said.extensions, **emit.extensions},
        )

    def program(event: Event[A], stack: bool) -> Effects[tuple[Command, ...]]:
        commands = yield from play(function, event, stack)
        return (*logs, *(yield from replace(commands, Emit, annotated, stack)))

    return composed("annotate", (function,), program)

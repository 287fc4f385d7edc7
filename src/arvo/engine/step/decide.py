"""Decide: one step with its effects answered from a table, so that it stays a function."""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

from returns.result import Failure, Result, Success

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violation
from arvo.engine.step.step import take
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed


def decide(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    effects: Mapping[Callable[..., Any], Callable[..., Any]] | None = None,
) -> Result[Commit, Violation]:
    """Take one step to its end, calling the functions in *effects* instead of what is asked for.

    An effect that the table lacks is a `ConfigViolation`; an exception of a function is the
    handler's to catch, as it would be for real. Effects are asked once: retries are an
    interpreter's matter.
    """
    settled = settle(system, event, record, now=now, effects=effects or {})
    return Success(settled) if isinstance(settled, Commit) else Failure(settled)


def settle(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    effects: Mapping[Callable[..., Any], Callable[..., Any]],
) -> Commit | Violation:
    """Take one step to its end, as a plain union."""
    performed: list[Performed] = []
    while True:
        stepped = take(system, event, record, now=now, performed=performed)
        if not isinstance(stepped, Perform):
            return stepped
        done = substituted(effects, stepped)
        if not isinstance(done, Performed):
            return done
        performed.append(done)


def substituted(
    effects: Mapping[Callable[..., Any], Callable[..., Any]], wanted: Perform[Any]
) -> Performed | Violation:
    """Call the function that the table has in place of the one that is wanted."""
    substitute = effects.get(wanted.function)
    if substitute is None:
        known = ", ".join(map(_name, effects)) or "none"
        issue = Issue("effects", f"a function for {_name(wanted.function)}", known)
        return ConfigViolation("an effect is asked for that the table lacks", issue)
    try:
        value = substitute(*wanted.args)
    except Exception as error:  # noqa: BLE001 - raised again at the handler's `yield from`
        return Performed(wanted, error=error)
    if isinstance(value, Coroutine):
        value.close()
        issue = Issue("effects", "a plain function, which answers at once", _name(substitute))
        return ConfigViolation("nobody here can wait for an effect", issue)
    return Performed(wanted, value=value)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))

"""Decide: take one step purely, with a table of functions in place of its effects."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from returns.result import Failure, Result, Success

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violation
from arvo.engine.step.step import step_plain
from arvo.engine.system.system import System, require_system
from arvo.handlers.effect import EffectTable, Perform, Performed, effect_error
from arvo.interrupts import is_interrupt


def decide(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    effects: EffectTable | None = None,
) -> Result[Commit, Violation]:
    """Take one step to its commit, with the functions in *effects* in place of real effects.

    *effects* maps each function that the handler names in `call` to the function to call instead.
    An effect that is missing there is a `ConfigViolation`. An exception is raised in the handler,
    as it would be in a runtime. Each effect is called once, without retries.
    """
    require_system(system, "decide")
    decided = decide_plain(system, event, record, now=now, effects=effects or {})
    return Success(decided) if isinstance(decided, Commit) else Failure(decided)


def decide_plain(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    effects: EffectTable,
) -> Commit | Violation:
    """Take one step to its commit and return a plain union, as interpreters need it."""
    performed: list[Performed] = []
    while True:
        result = step_plain(system, event, record, now=now, performed=performed)
        if not isinstance(result, Perform):
            return result
        outcome = substitute(effects, result)
        if not isinstance(outcome, Performed):
            return outcome
        performed.append(outcome)


def substitute(effects: EffectTable, effect: Perform[Any]) -> Performed | Violation:
    """Call the function that *effects* holds in place of the effect's own."""
    function = effects.get(effect.function)
    if not callable(function):
        known = ", ".join(map(_name, effects)) or "none"
        got = known if function is None else short_repr(function)
        issue = Issue("effects", f"a function for {_name(effect.function)}", got)
        return ConfigViolation("no function replaces this effect", issue)
    try:
        value = function(*effect.args)
    except BaseException as error:
        if is_interrupt(error):
            raise
        # Raised again at the handler's `yield from`.
        return Performed(effect, error=effect_error(effect, error))
    if isinstance(value, Coroutine):
        value.close()
        issue = Issue("effects", "a function that is not async", _name(function))
        return ConfigViolation("`decide` and `run` cannot await", issue)
    return Performed(effect, value=value)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))

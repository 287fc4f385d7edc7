"""Retake: one turn of a workflow once more, with the effects that are known of it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.decide import substituted
from arvo.engine.step.step import take
from arvo.engine.system.system import System
from arvo.handlers.effect import Perform, Performed
from arvo.handlers.flow.journal import performed_then, said

Functions: TypeAlias = Mapping[Callable[..., Any], Callable[..., Any]]


@final
@frozen
class Unknown:
    """A turn that cannot be taken again: *why*, and the call in which it differs, if it does."""

    why: str
    difference: Issue | None = None


def retake(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    calls: Sequence[FrozenDict],
    effects: Functions,
) -> Commit | Violation | Unknown:
    """Take a turn again. *calls*: lines of a flow's journal that tell what its calls came to.

    What they do not tell is asked of *effects*; what neither knows ends it as `Unknown`.
    """
    performed: list[Performed] = []
    while True:
        stepped = take(system, event, record, now=now, performed=performed)
        if not isinstance(stepped, Perform):
            return stepped
        try:
            done = _done(stepped, len(performed), calls, effects)
        except Violated as violated:
            return violated.violation
        if not isinstance(done, Performed):
            return done
        performed.append(done)


def calls_between(before: Record | None, after: Record | None) -> tuple[FrozenDict, ...]:
    """Give the lines of a flow's journal that tell of calls, of those that *after* has and *before*
    has not; () where the one does not follow from the other, or began anew since.
    """
    if after is None:
        return ()
    known = () if before is None else before.journal
    if _generation(before) != _generation(after) or after.journal[: len(known)] != known:
        return ()
    return tuple(line for line in after.journal[len(known) :] if "call" in line.get("got", ()))


def _generation(record: Record | None) -> Any:
    # What was revived after its first turn failed has not begun.
    if record is None or not record.init:
        return 0
    return record.state.get("generation") if isinstance(record.state, Mapping) else None


def _done(
    wanted: Perform[Any], position: int, calls: Sequence[FrozenDict], effects: Functions
) -> Performed | Violation | Unknown:
    """Find what a call came to."""
    line = calls[position] if position < len(calls) else None
    done = None if line is None else performed_then(wanted, line)
    if done is not None:
        return done
    if wanted.function in effects:
        return substituted(effects, wanted)
    if line is None:
        return Unknown(f"nobody knows what {wanted} came to (say it by effects)")
    difference = Issue(f"effects[{position}]", line["asked"], said(wanted))
    return Unknown(f"it does not {line['asked']} any more, and nobody knows the rest", difference)

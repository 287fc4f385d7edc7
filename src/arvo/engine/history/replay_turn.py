"""Replay turn: run one turn of a workflow again, with the recorded results of its effects."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.commit import Commit
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import Violated, Violation
from arvo.engine.step.decide import substitute
from arvo.engine.step.step import step_plain
from arvo.engine.system.system import System
from arvo.handlers.effect import EffectTable, Perform, Performed
from arvo.handlers.flow.journal import describe, recorded_effect


@final
@frozen
class NotReplayable:
    """A turn that cannot be replayed: *reason*, and the call that *difference* shows to differ."""

    reason: str
    difference: Issue | None = None


def replay_turn(
    system: System,
    event: Event[Any],
    record: Record | None,
    *,
    now: datetime,
    calls: Sequence[FrozenDict],
    effects: EffectTable,
) -> Commit | Violation | NotReplayable:
    """Run one turn again.

    *calls*: the entries of a flow's journal that hold the results of its calls, in order. A call
    without an entry uses the function in *effects*; without that the turn is `NotReplayable`.
    """
    performed: list[Performed] = []
    while True:
        result = step_plain(system, event, record, now=now, performed=performed)
        if not isinstance(result, Perform):
            return result
        try:
            outcome = _find_outcome(result, len(performed), calls, effects)
        except Violated as violated:
            return violated.violation
        if not isinstance(outcome, Performed):
            return outcome
        performed.append(outcome)


def calls_between(before: Record | None, after: Record | None) -> tuple[FrozenDict, ...]:
    """Return the journal entries of calls that a flow added between two records.

    Empty where *after* is not a later record of the same journal: the flow may have continued as
    new.
    """
    if after is None:
        return ()
    known = () if before is None else before.journal
    if _generation(before) != _generation(after) or after.journal[: len(known)] != known:
        return ()
    return tuple(entry for entry in after.journal[len(known) :] if "call" in entry.get("got", ()))


def _generation(record: Record | None) -> Any:
    # A workflow that was revived after its first turn failed has not started.
    if record is None or not record.init:
        return 0
    return record.state.get("generation") if isinstance(record.state, Mapping) else None


def _find_outcome(
    effect: Perform[Any], position: int, calls: Sequence[FrozenDict], effects: EffectTable
) -> Performed | Violation | NotReplayable:
    """Find the outcome of the effect that ended next: in the journal, else by *effects*."""
    entry = calls[position] if position < len(calls) else None
    if entry is not None:
        for asked in effect.effects:
            recorded = recorded_effect(asked, entry)
            if recorded is not None:
                return recorded
    if effect.function in effects:
        return substitute(effects, effect)
    if entry is None:
        return NotReplayable(
            f"the result of {effect} is not recorded (pass a function for it in effects=)"
        )
    difference = Issue(f"effects[{position}]", entry["asked"], describe(effect))
    reason = f"the code no longer runs `{entry['asked']}`, so the results after it are unknown"
    return NotReplayable(reason, difference)

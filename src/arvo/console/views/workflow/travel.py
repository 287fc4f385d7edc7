"""Travel: a workflow as it was after each of its turns, rebuilt by a replay."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.engine.history.diff import differences
from arvo.engine.history.replay import Replay


@final
@frozen(kw_only=True)
class Moment:
    """A workflow after one turn.

    *event*: the event that the turn consumed, None where an operator replaced the record.
    *produced*: the events that it sent. *record*: the record after it, None where the replay cannot
    say; then *note* has the reason.
    """

    revision: int
    at: datetime
    position: int
    event: Event[Any] | None
    produced: tuple[Event[Any], ...]
    record: Record | None
    note: str = ""


def moments_of(history: Sequence[HistoryEntry], replayed: Replay) -> tuple[Moment, ...]:
    """Return the moments of a workflow, oldest first; its *replayed* turns give their records."""
    turns = {turn.revision: turn for turn in replayed.turns}
    moments = []
    for revision, group in groupby(history, key=lambda entry: entry.revision):
        entries = tuple(group)
        first, turn = entries[0], turns.get(revision)
        record, note = first.record, ""
        if record is None and turn is not None:
            record = None if turn.commit is None else turn.commit.record
            note = "" if record is not None else turn.not_replayable or _refusal(turn.differences)
        elif record is None:
            note = "retention has removed the event of this turn"
        moments.append(
            Moment(
                revision=revision,
                at=first.at,
                position=first.position,
                event=first.event if first.kind == "consumed" else None,
                produced=tuple(it.event for it in entries if it.event and it.kind == "produced"),
                record=record,
                note=note,
            )
        )
    return tuple(moments)


def _refusal(issues: Sequence[Issue]) -> str:
    return "; ".join(map(str, issues)) or "the turn changes nothing now"


@final
@frozen
class DifferenceRow:
    """A part of the state that differs: the value before, and the one after."""

    path: str
    before: str
    after: str


def show_differences(before: Any, after: Any) -> tuple[DifferenceRow, ...]:
    """Return where two states, as they may be shown, differ.

    >>> show_differences({"n": 1}, {"n": 2})
    (DifferenceRow(path='state.n', before='1', after='2'),)
    """
    issues = differences("state", before, after)
    return tuple(DifferenceRow(it.path, it.expected, it.got) for it in issues)


@final
@frozen(kw_only=True)
class CommandRow:
    """An event that a turn sent."""

    type: str
    to: str
    id: str


def show_commands(moment: Moment) -> tuple[CommandRow, ...]:
    """Return the events that a turn sent."""
    return tuple(
        CommandRow(type=it.type, to=it.to or it.domain or "–", id=it.id) for it in moment.produced
    )


@final
@frozen
class TimerSet:
    """A timer that was pending."""

    name: str
    due: datetime


def show_timers(record: Record) -> tuple[TimerSet, ...]:
    """Return the timers that were pending in a record."""
    timers: Mapping[str, Any] = record.timers
    return tuple(TimerSet(name, datetime.fromisoformat(it.at)) for name, it in timers.items())

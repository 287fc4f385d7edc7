"""Commit: what one step changes, applied whole or not at all."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.command import Log
from arvo.core.events.event import Event
from arvo.core.record import Record

# What became of the consumed event. All but the first three change no record: `seen` was consumed
# before, `late` is for a workflow that has ended or a timer that is no longer pending, `halted` for
# a workflow that failed, `stray` for one that never began, `foreign` has a subject that names
# another handler.
Outcome: TypeAlias = Literal[
    "handled",
    "failed",
    "cancelled",
    "duplicate",
    "late",
    "workflow_failed",
    "unknown_workflow",
    "wrong_handler",
]


@final
@frozen
class PendingTimer:
    """An event to be delivered when it is *due*, and not before."""

    event: Event[Any]
    due: datetime


@final
@frozen(kw_only=True)
class Commit:
    """One consumed event and all that follows from it.

    *handler*: the address that consumed *event*. *expected*: the revision of the record that the
    step was decided on, 0 where there was none; a store that holds another revision refuses.
    *record*: the new one, None where none changes; of its journal, the first *kept* lines stood in
    the record before. *events*: to send, in order. *alarms*: timers to
    set, and *cleared*: the ids of those to forget (an alarm's id is its event's); one that fires
    all the same changes nothing. *note*: why nothing was done, where nothing was. *now*: the time
    that the step was taken at, where it changed a record: a replay takes it at that time again.
    """

    handler: str
    event: Event[Any]
    outcome: Outcome = "handled"
    expected: int = 0
    record: Record | None = None
    events: tuple[Event[Any], ...] = ()
    journal_offset: int = 0
    timers: tuple[PendingTimer, ...] = ()
    cleared_timers: tuple[str, ...] = ()
    logs: tuple[Log, ...] = ()
    note: str | None = None
    now: datetime | None = None

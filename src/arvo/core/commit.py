"""Commit: all changes of one step, applied together or not at all."""

from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, final

from attrs import frozen

from arvo.construct import constructor
from arvo.core.command import Log
from arvo.core.events.event import Event
from arvo.core.record import Record

# The fate of the consumed event. Only the first three change a record, and a reply that a failed
# workflow keeps. `duplicate`: was consumed before. `late`: is for a workflow that has ended, or for
# a timer that is no longer pending.
# `workflow_failed`: is for a workflow that failed. `unknown_workflow`: is for a workflow that never
# began. `wrong_handler`: its subject names another handler.
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
    """An event to deliver when it is *due*, not earlier."""

    event: Event[Any]
    due: datetime


@final
@frozen(kw_only=True, weakref_slot=False)
class Commit:
    """One consumed event and everything that follows from it.

    *handler*: the address that consumed *event*. *expected*: the revision of the record that the
    step read, 0 if there was none; a store that holds another revision refuses the commit.
    *record*: the new record, None if it stays the same. *before*: the record that it follows, None
    for a first turn; a store may write the difference, `record_change`, in place of a large record.
    *events*: to send, in this order. *answers*: the ids of those that answer a signal. *timers*: to
    set.
    *cleared_timers*: the ids of timers to delete (a timer's id is that of its event); one that
    fires all the same changes nothing. *note*: why no handler was called, if none was. *now*:
    the time of the step, if it changed a record: a replay repeats the step with this time.
    *unhandled*: the name and the text of the exception that escaped the handler, None if none did.
    """

    handler: str
    event: Event[Any]
    outcome: Outcome = "handled"
    expected: int = 0
    record: Record | None = None
    before: Record | None = None
    events: tuple[Event[Any], ...] = ()
    answers: tuple[str, ...] = ()
    timers: tuple[PendingTimer, ...] = ()
    cleared_timers: tuple[str, ...] = ()
    logs: tuple[Log, ...] = ()
    note: str | None = None
    now: datetime | None = None
    unhandled: str | None = None


make_commit: Final = constructor(Commit)

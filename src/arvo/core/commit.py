"""Commit: what one step changes, applied whole or not at all."""

from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.command import Log
from arvo.core.event import Event
from arvo.core.record import Record

# What became of the consumed event. All but the first two change no record: `seen` was consumed
# before, `late` is for a workflow that is done, `halted` for one that failed, `stray` for one that
# never began, `foreign` has a subject that names another handler.
Outcome: TypeAlias = Literal["handled", "failed", "seen", "late", "halted", "stray", "foreign"]


@final
@frozen(kw_only=True)
class Commit:
    """One consumed event and all that follows from it.

    *handler*: the address that consumed *event*. *expected*: the revision of the record that the
    step was decided on, 0 where there was none; a store that holds another revision refuses.
    *record*: the new one, None where none changes. *events*: to send, in order. *note*: why nothing
    was done, where nothing was.
    """

    handler: str
    event: Event[Any]
    outcome: Outcome = "handled"
    expected: int = 0
    record: Record | None = None
    events: tuple[Event[Any], ...] = ()
    logs: tuple[Log, ...] = ()
    note: str | None = None

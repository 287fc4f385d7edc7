"""History: what a workflow was told and what it said, in order."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.event import Event
from arvo.core.record import Record

Kind: TypeAlias = Literal["consumed", "produced", "amended"]


@final
@frozen(kw_only=True)
class HistoryEntry:
    """One line of a workflow's history.

    *position*: 0 for the first line, then on. *revision*: that of the record which the turn left:
    the lines of one turn share it, the consumed event first. *at*: when the turn was taken. *event*
    was consumed or produced. An operator who changes a record (`migrate`, `revive`) takes no turn:
    that line is `amended`, and has the new *record* in place of an event.
    """

    position: int
    revision: int
    kind: Kind
    at: datetime
    event: Event[Any] | None = None
    record: Record | None = None

"""History: the events that a workflow consumed and produced, in order."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import one_line, short_repr
from arvo.printable import printable

Kind: TypeAlias = Literal["consumed", "produced", "replaced"]


@final
@frozen(kw_only=True)
class HistoryEntry:
    """One entry of a workflow's history.

    *position*: counts from 0. *revision*: that of the record after the turn; the entries of one
    turn share it, the consumed event first. *at*: the time of the turn. *event*: the event that was
    consumed or produced. When an operator changes a record (`migrate`, `revive`), the entry is of
    kind `replaced` and holds the new *record* instead of an event.
    """

    position: int
    revision: int
    kind: Kind
    at: datetime
    event: Event[Any] | None = None
    record: Record | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON data."""
        return {
            "position": self.position,
            "revision": self.revision,
            "kind": self.kind,
            "at": self.at.isoformat(timespec="milliseconds"),
            "event": None if self.event is None else self.event.to_dict(),
            "record": None if self.record is None else self.record.to_dict(),
        }

    def __str__(self) -> str:
        line = f"{self.at.isoformat(timespec='milliseconds')}  {self.revision}  {self.kind}"
        if self.event is None:
            return line
        type_ = printable(self.event.type)
        return f"{line}  {type_}  {one_line(self.event.id)}  {short_repr(self.event.raw)}"

"""History: what a workflow was told and what it said, in order."""

from datetime import datetime
from typing import Any, Literal, TypeAlias, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import one_line, short

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

    def to_dict(self) -> dict[str, Any]:
        """Say the line as JSON data."""
        return {
            "position": self.position,
            "revision": self.revision,
            "kind": self.kind,
            "at": self.at.isoformat(timespec="milliseconds"),
            "event": None if self.event is None else self.event.to_dict(),
            "record": None if self.record is None else self.record.to_dict(),
        }

    def __str__(self) -> str:
        said = f"{self.at.isoformat(timespec='milliseconds')}  {self.revision}  {self.kind}"
        if self.event is None:
            return said
        return f"{said}  {self.event.type}  {one_line(self.event.id)}  {short(self.event.raw)}"

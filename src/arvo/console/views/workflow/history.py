"""History: the events of a workflow as rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry

# One page of a history.
ROWS_MAX: Final = 200


@final
@frozen(kw_only=True)
class EntryRow:
    """One line of a history."""

    position: int
    revision: int
    kind: str
    at: datetime
    type: str
    id: str
    peer: str


@final
@frozen(kw_only=True)
class HistoryView:
    """One page of a history, oldest first.

    *older*, *newer*: the position before which the neighbouring page ends, None where there is
    none.
    """

    rows: tuple[EntryRow, ...]
    older: int | None
    newer: int | None


def show_history(entries: Sequence[HistoryEntry], before: int | None) -> HistoryView:
    """Return the page with *entries*: the newest ones before a position, or of all."""
    rows = tuple(map(show_entry, entries))
    is_full = len(rows) >= ROWS_MAX and rows[0].position > 0
    return HistoryView(
        rows=rows,
        older=rows[0].position if is_full else None,
        newer=None if before is None else before + ROWS_MAX,
    )


def show_entry(entry: HistoryEntry) -> EntryRow:
    """Return one entry as a row."""
    event = entry.event
    return EntryRow(
        position=entry.position,
        revision=entry.revision,
        kind=entry.kind,
        at=entry.at,
        type="an operator replaced the record" if event is None else event.type,
        id="" if event is None else event.id,
        peer=_peer(entry.kind, event),
    )


def _peer(kind: str, event: Event[Any] | None) -> str:
    if event is None:
        return ""
    return f"from {event.source}" if kind == "consumed" else f"to {event.to or event.domain or '–'}"

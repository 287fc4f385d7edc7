"""Timeline: the newest events of a workflow on a time axis, one row for each peer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.history import HistoryEntry

# The units of the drawing; a page scales it.
WIDTH: Final = 1_000
LABEL_WIDTH: Final = 220
ROW_HEIGHT: Final = 28
HEADER_HEIGHT: Final = 24
# More peers than this are one: a drawing is for a look, the table below it has each event.
PEERS_MAX: Final = 24
OTHERS: Final = "others"
# A bar that is shorter could not be seen.
BAR_WIDTH_MIN: Final = 3.0


@final
@frozen(kw_only=True)
class Bar:
    """A request and the time until its reply; an open one reaches to the end."""

    x: float
    y: int
    width: float
    title: str
    position: int
    outcome: str


@final
@frozen(kw_only=True)
class Dot:
    """An event, on the row of its peer."""

    x: float
    y: int
    title: str
    position: int
    kind: str


@final
@frozen
class PeerRow:
    """A row: the *name* of a peer, and its vertical place."""

    name: str
    y: int


@final
@frozen(kw_only=True)
class TimelineView:
    """A drawing of peers, bars and dots, and the times of its two ends."""

    peers: tuple[PeerRow, ...]
    bars: tuple[Bar, ...]
    dots: tuple[Dot, ...]
    begin: datetime | None
    end: datetime | None
    height: int
    width: int = WIDTH
    label_width: int = LABEL_WIDTH


def show_timeline(entries: Sequence[HistoryEntry]) -> TimelineView:
    """Draw *entries*, oldest first."""
    placed = [(entry, entry.event) for entry in entries if entry.event is not None]
    peers = _places([_peer(entry.kind, event) for entry, event in placed])
    begin = placed[0][0].at if placed else None
    end = max(entry.at for entry, _ in placed) if placed else None
    scale = _Scale(begin, end)
    replies = {
        event.parentid: entry
        for entry, event in placed
        if entry.kind == "consumed" and event.parentid
    }
    bars, dots = [], []
    for entry, event in placed:
        y = peers.get(_peer(entry.kind, event), peers.get(OTHERS, 0))
        reply = replies.get(event.id) if entry.kind == "produced" else None
        x = scale.x(entry.at)
        if reply is not None and reply.event is not None:
            width = max(BAR_WIDTH_MIN, scale.x(reply.at) - x)
            title = f"{event.type}, answered after {_seconds(entry.at, reply.at)}"
            outcome = "error" if reply.event.type.startswith("sys.") else "answered"
            bars.append(
                Bar(x=x, y=y, width=width, title=title, position=entry.position, outcome=outcome)
            )
        title = f"{entry.kind} {event.type}, revision {entry.revision}"
        dots.append(Dot(x=x, y=y, title=title, position=entry.position, kind=_kind(entry, event)))
    return TimelineView(
        peers=tuple(PeerRow(name, y) for name, y in peers.items()),
        bars=tuple(bars),
        dots=tuple(dots),
        begin=begin,
        end=end,
        height=HEADER_HEIGHT + ROW_HEIGHT * max(1, len(peers)),
    )


@final
@frozen
class _Scale:
    begin: datetime | None
    end: datetime | None

    def x(self, at: datetime) -> float:
        if self.begin is None or self.end is None or self.begin == self.end:
            return float(LABEL_WIDTH)
        part = (at - self.begin) / (self.end - self.begin)
        return round(LABEL_WIDTH + max(0.0, min(1.0, part)) * (WIDTH - LABEL_WIDTH - 10), 1)


def _places(peers: Sequence[str]) -> Mapping[str, int]:
    names = list(dict.fromkeys(peers))
    if len(names) > PEERS_MAX:
        names = [*names[: PEERS_MAX - 1], OTHERS]
    middle = HEADER_HEIGHT + ROW_HEIGHT // 2
    return {name: middle + ROW_HEIGHT * number for number, name in enumerate(names)}


def _peer(kind: str, event: Event[Any]) -> str:
    return event.source if kind == "consumed" else event.to or event.domain or "–"


def _kind(entry: HistoryEntry, event: Event[Any]) -> str:
    return "error" if event.type.endswith(".error") else entry.kind


def _seconds(begin: datetime, end: datetime) -> str:
    return f"{(end - begin).total_seconds():.3f} s"

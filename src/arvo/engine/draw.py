"""Draw: events as a sequence diagram in plain text."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from arvo.core.event import Event

# A terminal is rarely wider; a longer label is cut, its event's type stays.
LANE_WIDTH_MIN: Final = 16
EVENTS_DRAWN_MAX: Final = 200


def draw_sequence(events: Iterable[Event[Any]]) -> str:
    """Draw events from source to address, top to bottom, a lane for each address.

    At most EVENTS_DRAWN_MAX events are drawn; a last line says how many more there are.
    """
    listed = tuple(events)
    drawn = listed[:EVENTS_DRAWN_MAX]
    lanes = tuple(
        dict.fromkeys(name for each in drawn for name in (each.source, each.to or "(nobody)"))
    )
    width = max(LANE_WIDTH_MIN, *(len(name) + 2 for name in lanes), 0) if lanes else LANE_WIDTH_MIN
    lines = ["".join(name.center(width) for name in lanes), _lines(len(lanes), width)]
    for event in drawn:
        begin, end = lanes.index(event.source), lanes.index(event.to or "(nobody)")
        lines += [
            _label(event, begin, end, len(lanes), width),
            _arrow(begin, end, len(lanes), width),
        ]
    if len(listed) > len(drawn):
        lines.append(f"… and {len(listed) - len(drawn)} more")
    return "\n".join(line.rstrip() for line in lines)


def _label(event: Event[Any], begin: int, end: int, lanes: int, width: int) -> str:
    text = event.type + (f" → {event.domain}" if event.domain else "")
    row = list(_lines(lanes, width).ljust(width * lanes))
    at = min(begin, end) * width + width // 2 + 2
    return _over(row, at, text)


def _arrow(begin: int, end: int, lanes: int, width: int) -> str:
    row = list(_lines(lanes, width).ljust(width * lanes))
    left, right = sorted((begin, end))
    start, stop = left * width + width // 2, right * width + width // 2
    if begin == end:
        return _over(row, start + 1, "──╯")
    body = "─" * (stop - start - 2)
    return _over(row, start + 1, f"{body}▶" if begin < end else f"◀{body}")


def _lines(lanes: int, width: int) -> str:
    return "│".center(width) * lanes


def _over(row: Sequence[str], at: int, text: str) -> str:
    return "".join(row[:at]) + text + "".join(row[at + len(text) :])

"""Page: prints the rows as they are measured, and writes them into `docs/performance.md`."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, final

from attrs import frozen

from benchmarks.measure import Measured, Unmeasured
from benchmarks.table import Peer, Row

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
COLUMNS: Final = ("work", "Arvo", "÷ orjson", "beside", "takes", "Arvo is faster by")
GROWTH_COLUMNS: Final = ("where there are many", "Arvo")
OURS: Final = ""
ORJSON: Final = "orjson"


@final
@frozen
class Outcome:
    """A row, and what its sides gave: ours under OURS, the round trip under ORJSON, the peers."""

    row: Row
    sides: dict[str, Measured | Unmeasured]


def lines(outcome: Outcome) -> list[tuple[str, ...]]:
    """Return the cells of a row, by COLUMNS: one line for each peer, or one without."""
    row, ours = outcome.row, outcome.sides[OURS]
    first = (row.name, _figures(row, ours), _by_orjson(outcome))
    peers = [_peer(row, peer, ours, outcome.sides.get(peer.name)) for peer in row.peers]
    return [
        (*(first if position == 0 else ("", "", "")), *cells)
        for position, cells in enumerate(peers or [("", "", "")])
    ]


def _figures(row: Row, side: Measured | Unmeasured) -> str:
    if isinstance(side, Unmeasured):
        return str(side)
    return "; ".join(
        f"{number(side.median(unit))} {unit}" for unit in row.units if unit in _units(side)
    )


def _units(side: Measured) -> Sequence[str]:
    return list(side.runs[0])


def _by_orjson(outcome: Outcome) -> str:
    ours, orjson = outcome.sides[OURS], outcome.sides.get(ORJSON)
    if outcome.row.units[0] != "µs" or not isinstance(ours, Measured):
        return ""
    assert isinstance(orjson, Measured)
    return number(ours.ratio(orjson, "µs"))


def _peer(
    row: Row, peer: Peer, ours: Measured | Unmeasured, theirs: Measured | Unmeasured | None
) -> tuple[str, str, str]:
    unit = row.units[0]
    if isinstance(theirs, Measured) and isinstance(ours, Measured):
        ratio = ours.ratio(theirs, unit) if _more_is_better(row) else theirs.ratio(ours, unit)
        return peer.name, _figures(row, theirs), number(ratio)
    reason = "not measured here" if theirs is None else str(theirs)
    if peer.recorded is None:
        return peer.name, reason, ""
    recorded = peer.recorded
    ratio = recorded.peer / recorded.ours
    ratio = 1 / ratio if _more_is_better(row) else ratio
    return peer.name, reason, f"{number(ratio)} in {recorded.date}"


def _more_is_better(row: Row) -> bool:
    return row.units[0].endswith("/s")


def number(value: float) -> str:
    """Return *value* with about three digits: they are all that a busy machine can tell.

    >>> number(0.4567), number(45.67), number(45678.9)
    ('0.457', '45.7', '45,679')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def orjson_line(outcomes: Sequence[Outcome]) -> str:
    """Return what one orjson round trip took during the run: the speed of the machine."""
    trips = [
        side.median("µs")
        for outcome in outcomes
        if outcome.row.trip is None and isinstance(side := outcome.sides.get(ORJSON), Measured)
    ]
    return (
        f"One orjson round trip of an event took {number(median(trips))} µs of processor time in"
        f" this run ({number(min(trips))} to {number(max(trips))} from row to row)."
    )


def markdown(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    written = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in written)


def replace(text: str, name: str, content: str) -> str:
    """Return *text* with *content* between its two markers of *name*."""
    begin, end = f"<!-- {name}: written by make bench -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page has no markers of {name!r}: add {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def terminal(cells: Sequence[str]) -> str:
    """Return a line for the terminal."""
    widths = (52, 34, 9, 32, 34, 18)
    return " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()

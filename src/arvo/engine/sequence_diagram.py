"""Sequence diagram: draw arrows between lifelines in plain text."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from textwrap import wrap
from typing import Final, final

from attrs import evolve, frozen

from arvo.printable import printable

# The default width: a terminal shows it without breaking lines.
WIDTH: Final = 100
ARROWS_DRAWN_MAX: Final = 200
# The name of a lifeline is broken at dots into several lines; a label that does not fit loses its
# beginning.
NAME_WIDTHS: Final = (16, 12, 10)
NAME_LINES_MAX: Final = 8
LABEL_WIDTH_MIN: Final = 8
LABEL_WIDTH_MAX: Final = 120
NOTE_WIDTH_MIN: Final = 40
NOTE_LINES_MAX: Final = 6
NOTE_CHARACTERS_MAX: Final = 2_000


@final
@frozen
class Arrow:
    """An arrow from one lifeline to another; *note* is the text below it."""

    begin: str
    end: str
    label: str
    note: str | None = None


@final
@frozen
class _Layout:
    """The column and header of each lifeline, and the widths of labels and diagram."""

    columns: dict[str, int]
    headers: dict[str, tuple[str, ...]]
    label_width: int
    width: int


def draw_sequence(arrows: Iterable[Arrow], *, width: int = WIDTH) -> str:
    """Draw arrows top to bottom, with a lifeline for each name, in *width* columns.

    With many lifelines the diagram may be wider, because labels keep LABEL_WIDTH_MIN characters. At
    most ARROWS_DRAWN_MAX arrows are drawn; a last line counts the others.
    """
    listed = tuple(arrows)
    if not listed:
        return ""
    drawn = tuple(map(_printable, listed[:ARROWS_DRAWN_MAX]))
    layout = _layout(drawn, width)
    lines = [*_header(layout), _overlay(layout, ())]
    for arrow in drawn:
        lines += _arrow(layout, arrow)
        lines += _note(layout, arrow, width)
    if len(listed) > len(drawn):
        lines.append(f"… and {len(listed) - len(drawn)} more")
    return "\n".join(line.rstrip() for line in lines)


def _printable(arrow: Arrow) -> Arrow:
    """Escape the texts before they are laid out: an escape sequence takes more columns."""
    return evolve(
        arrow,
        begin=printable(arrow.begin),
        end=printable(arrow.end),
        label=printable(arrow.label),
        # The note is broken into lines anew.
        note=None
        if arrow.note is None
        else printable(" ".join(arrow.note.split()), NOTE_CHARACTERS_MAX),
    )


def _layout(arrows: Sequence[Arrow], width: int) -> _Layout:
    """Find the layout that fits and shortens least: break names first, then shorten labels."""
    longest = min(LABEL_WIDTH_MAX, max(len(arrow.label) for arrow in arrows))
    widths = [(name_width, longest) for name_width in NAME_WIDTHS]
    shorter = reversed(range(LABEL_WIDTH_MIN, longest))
    widths += [(NAME_WIDTHS[-1], label_width) for label_width in shorter]
    layouts = (_place(arrows, *pair) for pair in widths)
    narrowest = _place(arrows, *widths[-1])
    return next((layout for layout in layouts if layout.width <= width), narrowest)


def _place(arrows: Sequence[Arrow], name_width: int, label_width: int) -> _Layout:
    lifelines = tuple(dict.fromkeys(name for arrow in arrows for name in (arrow.begin, arrow.end)))
    order = {lifeline: position for position, lifeline in enumerate(lifelines)}
    headers = {lifeline: _break_name(lifeline, name_width) for lifeline in lifelines}
    columns = {lifelines[0]: _half_width(headers[lifelines[0]])}
    # For each lifeline, the space that labels need from a lifeline on its left. None is the right
    # edge.
    spaces: dict[str | None, list[tuple[str, int]]] = {
        lifeline: [] for lifeline in (*lifelines, None)
    }
    after = dict(pairwise((*lifelines, None)))
    for arrow in arrows:
        left, right = sorted((arrow.begin, arrow.end), key=order.__getitem__)
        space = len(_shorten(arrow.label, label_width)) + 7
        spaces[right if left != right else after[right]].append((left, space))
    for before, lifeline in pairwise(lifelines):
        distance = (
            columns[before] + _half_width(headers[before]) + _half_width(headers[lifeline]) + 3
        )
        columns[lifeline] = max(
            [distance, *(columns[left] + space for left, space in spaces[lifeline])]
        )
    ends = columns[lifelines[-1]] + _half_width(headers[lifelines[-1]]) + 1
    width = max([ends, *(columns[left] + space for left, space in spaces[None])])
    return _Layout(columns, headers, label_width, width)


def _break_name(name: str, width: int) -> tuple[str, ...]:
    """Break a name after dots, or anywhere if *width* characters hold no dot.

    >>> _break_name("com.warehouse.pick", 16)
    ('com.warehouse.', 'pick')
    """
    rows = [""]
    for piece in name.replace(".", ".\n").split("\n"):
        for part in (piece[at : at + width] for at in range(0, len(piece), width)):
            if len(rows[-1]) + len(part) <= width:
                rows[-1] += part
            else:
                rows.append(part)
    if len(rows) > NAME_LINES_MAX:
        rows = [f"{rows[0][: width - 1]}…", *rows[1 - NAME_LINES_MAX :]]
    return tuple(rows)


def _shorten(label: str, width: int) -> str:
    """Shorten a label at the front, which identifies it least: after a dot where possible.

    >>> _shorten("evt.warehouse.picked", 19), _shorten("evt.warehouse.picked", 8)
    ('…warehouse.picked', '…picked')
    """
    if len(label) <= width:
        return label
    rest = label[1 - width :]
    _, dot, whole = rest.partition(".")
    return f"…{whole if dot else rest}"


def _half_width(name: tuple[str, ...]) -> int:
    return max(map(len, name)) // 2


def _header(layout: _Layout) -> Iterator[str]:
    height = max(map(len, layout.headers.values()))
    for row in range(height):
        line = ""
        for lifeline, column in layout.columns.items():
            name = layout.headers[lifeline]
            at = row - (height - len(name))
            text = name[at] if at >= 0 else ""
            line = line.ljust(max(0, column - len(text) // 2)) + text
        yield line


def _arrow(layout: _Layout, arrow: Arrow) -> Iterator[str]:
    begin, end = layout.columns[arrow.begin], layout.columns[arrow.end]
    label = _shorten(arrow.label, layout.label_width)
    if begin == end:
        yield _overlay(layout, [(begin, f"├──╮ {label}")])
        yield _overlay(layout, [(begin, "│◀─╯")])
        return
    left, right = sorted((begin, end))
    crossed = [(column, "┼") for column in layout.columns.values() if left < column < right]
    text = (left + 3, f" {label} ")
    line = (left + 1, "─" * (right - left - 1))
    ends = [(begin, "├"), (end - 1, "▶")] if end == right else [(begin, "┤"), (end + 1, "◀")]
    yield _overlay(layout, [line, *crossed, text, *ends])


def _note(layout: _Layout, arrow: Arrow, width: int) -> Iterator[str]:
    if arrow.note is None:
        return
    at = max(2, min(layout.columns[arrow.end] + 2, width - NOTE_WIDTH_MIN))
    note_width = max(NOTE_WIDTH_MIN, width - at) - 2
    for number, line in enumerate(
        wrap(arrow.note, note_width, max_lines=NOTE_LINES_MAX, placeholder=" …")
    ):
        yield _overlay(layout, [(at, f"{' ' if number else '✗'} {line} ")])


def _overlay(layout: _Layout, texts: Iterable[tuple[int, str]]) -> str:
    """Return a row of lifelines with texts written over it, each from its column."""
    row = ""
    for column in layout.columns.values():
        row = row.ljust(column) + "│"
    for at, text in texts:
        row = row[:at].ljust(at) + text + row[at + len(text) :]
    return row

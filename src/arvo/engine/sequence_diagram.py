"""Draw: arrows between lanes as a sequence diagram in plain text."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from textwrap import wrap
from typing import Final, final

from attrs import frozen

# What a terminal shows without breaking lines, where nothing else is said.
WIDTH: Final = 100
ARROWS_DRAWN_MAX: Final = 200
# A lane's name is broken at dots, and loses nothing; a label that does not fit loses its beginning.
NAME_WIDTHS: Final = (16, 12, 10)
NAME_LINES_MAX: Final = 8
LABEL_WIDTH_MIN: Final = 8
LABEL_WIDTH_MAX: Final = 120
NOTE_WIDTH_MIN: Final = 40
NOTE_LINES_MAX: Final = 6


@final
@frozen
class Arrow:
    """Something that goes from one lane to another; *note*: what is to be said below it."""

    begin: str
    end: str
    label: str
    note: str | None = None


@final
@frozen
class _Layout:
    """Where each lane stands (its column), what is written above it, how long labels may be, and
    how wide all that is.
    """

    columns: dict[str, int]
    names: dict[str, tuple[str, ...]]
    label_width: int
    width: int


def draw_sequence(arrows: Iterable[Arrow], *, width: int = WIDTH) -> str:
    """Draw arrows top to bottom, a lane for each name they begin or end at, in *width* columns.

    Many lanes may need more columns: labels keep LABEL_WIDTH_MIN characters. At most
    ARROWS_DRAWN_MAX arrows are drawn; a last line says how many more there are.
    """
    listed = tuple(arrows)
    if not listed:
        return ""
    drawn = listed[:ARROWS_DRAWN_MAX]
    layout = _layout(drawn, width)
    lines = [*_heads(layout), _over(layout, ())]
    for arrow in drawn:
        lines += _arrow(layout, arrow)
        lines += _note(layout, arrow, width)
    if len(listed) > len(drawn):
        lines.append(f"… and {len(listed) - len(drawn)} more")
    return "\n".join(line.rstrip() for line in lines)


def _layout(arrows: Sequence[Arrow], width: int) -> _Layout:
    """Find the layout that fits and shortens least: names are broken first, then labels are cut."""
    longest = min(LABEL_WIDTH_MAX, max(len(arrow.label) for arrow in arrows))
    tried = [(each, longest) for each in NAME_WIDTHS]
    tried += [(NAME_WIDTHS[-1], each) for each in reversed(range(LABEL_WIDTH_MIN, longest))]
    layouts = (_placed(arrows, *each) for each in tried)
    narrowest = _placed(arrows, *tried[-1])
    return next((layout for layout in layouts if layout.width <= width), narrowest)


def _placed(arrows: Sequence[Arrow], name_width: int, label_width: int) -> _Layout:
    queues = tuple(dict.fromkeys(name for each in arrows for name in (each.begin, each.end)))
    order = {queue: position for position, queue in enumerate(queues)}
    names = {queue: _broken(queue, name_width) for queue in queues}
    columns = {queues[0]: _half(names[queues[0]])}
    # How much room an arrow's label needs between two lanes; beyond the last lane stands None.
    rooms: dict[str | None, list[tuple[str, int]]] = {queue: [] for queue in (*queues, None)}
    after = dict(pairwise((*queues, None)))
    for arrow in arrows:
        left, right = sorted((arrow.begin, arrow.end), key=order.__getitem__)
        room = len(_cut(arrow.label, label_width)) + 7
        rooms[right if left != right else after[right]].append((left, room))
    for before, queue in pairwise(queues):
        apart = columns[before] + _half(names[before]) + _half(names[queue]) + 3
        columns[queue] = max([apart, *(columns[left] + room for left, room in rooms[queue])])
    ends = columns[queues[-1]] + _half(names[queues[-1]]) + 1
    width = max([ends, *(columns[left] + room for left, room in rooms[None])])
    return _Layout(columns, names, label_width, width)


def _broken(name: str, width: int) -> tuple[str, ...]:
    """Break a name after dots, and where there is none in *width* characters, anywhere.

    >>> _broken("com.warehouse.pick", 16)
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


def _cut(label: str, width: int) -> str:
    """Cut a label at its front, where it says least: after a dot if that leaves enough.

    >>> _cut("evt.warehouse.picked", 19), _cut("evt.warehouse.picked", 8)
    ('…warehouse.picked', '…picked')
    """
    if len(label) <= width:
        return label
    rest = label[1 - width :]
    _, dot, whole = rest.partition(".")
    return f"…{whole if dot else rest}"


def _half(name: tuple[str, ...]) -> int:
    return max(map(len, name)) // 2


def _heads(layout: _Layout) -> Iterator[str]:
    height = max(map(len, layout.names.values()))
    for row in range(height):
        line = ""
        for queue, column in layout.columns.items():
            name = layout.names[queue]
            at = row - (height - len(name))
            text = name[at] if at >= 0 else ""
            line = line.ljust(max(0, column - len(text) // 2)) + text
        yield line


def _arrow(layout: _Layout, arrow: Arrow) -> Iterator[str]:
    begin, end = layout.columns[arrow.begin], layout.columns[arrow.end]
    label = _cut(arrow.label, layout.label_width)
    if begin == end:
        yield _over(layout, [(begin, f"├──╮ {label}")])
        yield _over(layout, [(begin, "│◀─╯")])
        return
    left, right = sorted((begin, end))
    crossed = [(column, "┼") for column in layout.columns.values() if left < column < right]
    written = (left + 3, f" {label} ")
    line = (left + 1, "─" * (right - left - 1))
    ends = [(begin, "├"), (end - 1, "▶")] if end == right else [(begin, "┤"), (end + 1, "◀")]
    yield _over(layout, [line, *crossed, written, *ends])


def _note(layout: _Layout, arrow: Arrow, width: int) -> Iterator[str]:
    if arrow.note is None:
        return
    at = max(2, min(layout.columns[arrow.end] + 2, width - NOTE_WIDTH_MIN))
    room = max(NOTE_WIDTH_MIN, width - at) - 2
    for number, line in enumerate(
        wrap(arrow.note, room, max_lines=NOTE_LINES_MAX, placeholder=" …")
    ):
        yield _over(layout, [(at, f"{' ' if number else '✗'} {line} ")])


def _over(layout: _Layout, texts: Iterable[tuple[int, str]]) -> str:
    """Write texts, each from its column, over the lanes' lines."""
    row = ""
    for column in layout.columns.values():
        row = row.ljust(column) + "│"
    for at, text in texts:
        row = row[:at].ljust(at) + text + row[at + len(text) :]
    return row

"""Data: JSON on a page, readable and limited in size."""

from hashlib import blake2b
from typing import Any, Final, final

import orjson
from attrs import frozen

# Longer data is not printed into a page; a link downloads it.
INLINE_BYTES_MAX: Final = 262_144


class Block(str):
    """A text of several lines, whose line breaks are our own."""

    __slots__ = ()


@final
@frozen
class DataView:
    """JSON data on a page: its *text*, None if it is too large, and its *size* in bytes."""

    text: Block | None
    size: int

    @property
    def size_text(self) -> str:
        """The size in words."""
        return size_text(self.size)


def show_data(data: Any) -> DataView:
    """Return JSON *data* as a page shows it, with sorted lines of its fields.

    >>> show_data({"a": 1}).text, show_data("x" * 300_000).text
    ('{\\n  "a": 1\\n}', None)
    """
    size = len(orjson.dumps(data))
    if size > INLINE_BYTES_MAX:
        return DataView(None, size)
    return DataView(Block(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode()), size)


def size_text(size: int) -> str:
    """Return a number of bytes in words.

    >>> size_text(512), size_text(2_048), size_text(5_500_000)
    ('512 B', '2.0 KB', '5.2 MB')
    """
    if size < 1_024:
        return f"{size} B"
    return f"{size / 1_024:.1f} KB" if size < 1_048_576 else f"{size / 1_048_576:.1f} MB"


def digest_of(subject: str) -> str:
    """Return a token that differs between workflows, and does not show which one it is."""
    return blake2b(subject.encode(), digest_size=8).hexdigest()

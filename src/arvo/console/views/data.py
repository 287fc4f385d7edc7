"""Data: JSON on a page, as a tree of its branches, readable and limited in size."""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from itertools import islice
from typing import Any, Final, final

import orjson
from attrs import frozen

# Longer data is not printed into a page; a link downloads it.
INLINE_BYTES_MAX: Final = 262_144
# The limits of a tree; its raw JSON and the download have the rest. An indent for each level has
# room on a phone, and a browser lays out so many lines at once.
TREE_DEPTH_MAX: Final = 8
TREE_ITEMS_MAX: Final = 50
TREE_NODES_MAX: Final = 1_000
# A longer branch is closed at first, so that a page begins with an outline.
OPEN_ITEMS_MAX: Final = 12
OPEN_DEPTH_MAX: Final = 2


class Block(str):
    """A text of several lines, whose line breaks are our own."""

    __slots__ = ()


@final
@frozen(kw_only=True)
class DataNode:
    """A value in JSON data: a leaf with its JSON *text*, or a branch with its *children*.

    *key*: its name in an object, its position in a list, empty for the whole. *number*: how many
    items a branch has; *more*: those that the tree leaves out. *size*: its bytes as JSON.
    """

    key: str
    text: str = ""
    children: "tuple[DataNode, ...] | None" = None
    kind: str = ""
    number: int = 0
    size: int = 0
    is_open: bool = False

    @property
    def more(self) -> int:
        """The number of items that are not among the children."""
        return self.number - len(self.children or ())

    @property
    def size_text(self) -> str:
        """The size in words."""
        return size_text(self.size)


@final
@frozen
class DataView:
    """JSON data on a page: its *text*, None if it is too large, and its *size* in bytes.

    *tree*: the same as branches, without what is beyond the limits of a tree.
    """

    text: Block | None
    size: int
    tree: DataNode | None = None

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
    text = Block(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
    return DataView(text, size, show_branches(data))


def show_branches(data: Any) -> DataNode:
    """Return JSON *data* as a tree of at most `TREE_NODES_MAX` values below the whole.

    >>> tree = show_branches({"lines": [1, "a"]})
    >>> [(it.key, it.number, it.size_text) for it in tree.children or ()]
    [('lines', 2, '7 B')]
    >>> [it.text for it in tree.children[0].children]
    ['1', '"a"']
    """
    return _show_node("", data, 0, TREE_NODES_MAX)


def _show_node(key: str, value: Any, depth: int, nodes_max: int) -> DataNode:
    """Return *value* with at most *nodes_max* values below it."""
    text = orjson.dumps(value)
    if not isinstance(value, Mapping | list | tuple):
        return DataNode(key=key, text=text.decode(), size=len(text))
    shown_max = min(TREE_ITEMS_MAX, nodes_max) if depth < TREE_DEPTH_MAX else 0
    items = tuple(islice(_items(value), shown_max))
    branches = sum(isinstance(it, Mapping | list | tuple) for _, it in items)
    # In equal parts, so that a long first branch leaves room for the others.
    share = (nodes_max - len(items)) // max(branches, 1)
    return DataNode(
        key=key,
        children=tuple(_show_node(name, it, depth + 1, share) for name, it in items),
        kind="object" if isinstance(value, Mapping) else "list",
        number=len(value),
        size=len(text),
        is_open=depth < OPEN_DEPTH_MAX and len(value) <= OPEN_ITEMS_MAX,
    )


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return iter(value.items())
    return ((str(position), it) for position, it in enumerate(value))


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

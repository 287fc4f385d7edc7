"""Readers: from plain JSON data to Python values, one hook for cattrs a kind of type.

They trust that the schema has been checked: cattrs by itself turns ``'false'`` into True.
"""

from collections.abc import Callable
from types import NoneType
from typing import Any

from cattrs import Converter

from arvo.core.payloads.fields import bare, members, tag_of, wire_value
from arvo.core.payloads.frozen_json import FrozenDict, FrozenList
from arvo.core.payloads.json_data import INTEGER_MAX, INTEGER_MIN
from arvo.core.payloads.scalars import Leaf
from arvo.core.payloads.type_schema import classes_in, flat, form

Read = Callable[[Any, Any], Any]


class UnreadableError(ValueError):
    """A value that its schema allows and its type does not: what would have been right."""


def read_int(value: Any, kind: Any) -> Any:
    """Take an integer of 64 bits; 3.0 is one to JSON Schema."""
    if type(value) is float and not INTEGER_MIN <= value <= INTEGER_MAX:
        raise UnreadableError("an integer of 64 bits")  # to JSON Schema 1e300 is an integer
    return kind(value)  # cattrs asks here for bool and IntEnum too, which are ints to it


def leaf_reader(leaf: Leaf) -> Read:
    """Read the text of a *leaf*."""

    def read(value: Any, _: Any) -> Any:
        try:
            return leaf.read(value)
        except (ValueError, ArithmeticError) as error:
            raise UnreadableError(leaf.words) from error

    return read


def choice_reader(kind: Any) -> Read:
    """Find the member of the Literal or Enum *kind* that has the value."""
    # With its type: True is no 1, while 1.0 is one to JSON Schema.
    table = {(isinstance(wire_value(each), bool), wire_value(each)): each for each in members(kind)}
    return lambda value, _: table[isinstance(value, bool), value]


_JSON_TYPES: dict[type, tuple[str, ...]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    list: ("array",),
    FrozenList: ("array",),
    dict: ("object",),
    FrozenDict: ("object",),
    NoneType: ("null",),
}


def union_reader(kind: Any, made: Converter) -> Read:
    """Choose by JSON type, and among classes by their tag."""
    readers: dict[str, tuple[Read, Any]] = {}
    for each in flat(kind):
        below = bare(each)[0]
        hook = made.get_structure_hook(below)
        readers |= dict.fromkeys(form(each, "", lambda _: {}).kinds, (hook, below))
    classes = classes_in(flat(kind))
    found = tag_of(classes) if len(classes) > 1 else None
    if found:
        readers["object"] = (_tag_reader(*found, made), None)
    table = {
        python: next(readers[name] for name in names if name in readers)
        for python, names in _JSON_TYPES.items()
        if readers.keys() & set(names)
    }

    def read(value: Any, _: Any) -> Any:
        hook, target = table[type(value)]
        return hook(value, target)

    return read


def as_it_is(value: Any, _: Any) -> Any:
    """Take what came."""
    return value


def _tag_reader(tag: str, meanings: dict[str | int, type], made: Converter) -> Read:
    hooks = {value: (made.get_structure_hook(cls), cls) for value, cls in meanings.items()}

    def read(value: Any, _: Any) -> Any:
        hook, cls = hooks[value[tag]]
        return hook(value, cls)

    return read

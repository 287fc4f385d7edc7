"""Structure: cattrs hooks that convert JSON data to Python values, one for each kind of type.

They rely on the check of the schema: cattrs alone converts ``'false'`` to True.
"""

from collections.abc import Callable
from types import NoneType
from typing import Any

from cattrs import Converter

from arvo.core.payloads.fields import choice_members, discriminator, strip_annotations, wire_value
from arvo.core.payloads.frozen_json import FrozenDict, FrozenList
from arvo.core.payloads.json_data import INTEGER_EXPECTED, INTEGER_MAX, INTEGER_MIN
from arvo.core.payloads.scalars import ScalarType
from arvo.core.payloads.type_schema import attrs_classes, schema_of_type, union_members

Read = Callable[[Any, Any], Any]


class UnreadableError(ValueError):
    """A value that the schema allows and the type does not; the message is the expected value."""


def structure_int(value: Any, kind: Any) -> Any:
    """Read an integer of 64 bits; for JSON Schema 3.0 is one, too."""
    if type(value) is float and not INTEGER_MIN <= value <= INTEGER_MAX:
        raise UnreadableError(INTEGER_EXPECTED)  # JSON Schema counts 1e300 as one
    return kind(value)  # cattrs also calls this for bool and IntEnum, which are ints to it


def scalar_structure_hook(scalar: ScalarType) -> Read:
    """Return a hook that reads the string of a *scalar*."""

    def read(value: Any, _: Any) -> Any:
        try:
            return scalar.read(value)
        except (ValueError, ArithmeticError) as error:
            raise UnreadableError(scalar.description) from error

    return read


def choice_structure_hook(kind: Any) -> Read:
    """Return a hook that finds the member of the Literal or Enum *kind* with a value."""
    # Keyed by type too: True is not 1, but for JSON Schema 1.0 is.
    table = {
        (isinstance(wire_value(member), bool), wire_value(member)): member
        for member in choice_members(kind)
    }
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


def union_structure_hook(kind: Any, converter: Converter) -> Read:
    """Return a hook that chooses a member by JSON type, and among classes by the discriminator."""
    readers: dict[str, tuple[Read, Any]] = {}
    for member in union_members(kind):
        inner = strip_annotations(member)[0]
        hook = converter.get_structure_hook(inner)
        readers |= dict.fromkeys(schema_of_type(member, "", lambda _: {}).kinds, (hook, inner))
    classes = attrs_classes(union_members(kind))
    tag = discriminator(classes) if len(classes) > 1 else None
    if tag:
        readers["object"] = (_tagged_class_hook(*tag, converter), None)
    table = {
        python: next(readers[name] for name in names if name in readers)
        for python, names in _JSON_TYPES.items()
        if readers.keys() & set(names)
    }

    def read(value: Any, _: Any) -> Any:
        hook, target = table[type(value)]
        return hook(value, target)

    return read


def pass_through(value: Any, _: Any) -> Any:
    """Return *value* as it is."""
    return value


def _tagged_class_hook(
    tag: str, class_by_value: dict[str | int, type], converter: Converter
) -> Read:
    hooks = {
        value: (converter.get_structure_hook(cls), cls) for value, cls in class_by_value.items()
    }

    def read(value: Any, _: Any) -> Any:
        hook, cls = hooks[value[tag]]
        return hook(value, cls)

    return read

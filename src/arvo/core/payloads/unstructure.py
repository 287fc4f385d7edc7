"""Unstructure: cattrs hooks that convert Python values to JSON data, one for each kind of type.

They raise nothing: they put an InvalidValue in the place of a value that its type does not allow.
"""

from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Any, Literal, get_args

import attrs
import orjson
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn

from arvo.core.payloads.fields import choice_members, strip_annotations, type_name, wire_value
from arvo.core.payloads.json_data import InvalidValue
from arvo.core.payloads.scalars import ScalarType
from arvo.core.payloads.type_schema import ARRAY_TYPES, OBJECT_TYPES, origin_or_self, union_members

Write = Callable[[Any], Any]


def unstructure_float(value: Any) -> Any:
    """Return a float as it is, and an int if a float holds the same number."""
    if type(value) is not float and type(value) is int and value != float(value):
        return InvalidValue("a number that a float holds exactly", value)
    return value


def scalar_unstructure_hook(kind: type, scalar: ScalarType) -> Write:
    """Return a hook that writes the string of a *scalar*."""
    is_kind = _test(kind)

    def write(value: Any) -> Any:
        text = scalar.write(value) if is_kind(value) else None
        return InvalidValue(scalar.description, value) if text is None else text

    return write


def choice_unstructure_hook(kind: Any) -> Write:
    """Return a hook that writes the value of a member of the Literal or Enum *kind*."""
    table = {(type(member), member): wire_value(member) for member in choice_members(kind)}
    is_kind = _test(kind)
    return lambda value: (
        table[type(value), value] if is_kind(value) else InvalidValue(type_name(kind), value)
    )


def union_unstructure_hook(kind: Any, converter: Converter) -> Write:
    """Return a hook that chooses a member of the union by the type of the value."""
    hooks = [
        (_test(member), converter.get_unstructure_hook(member)) for member in union_members(kind)
    ]

    def write(value: Any) -> Any:
        for is_member, hook in hooks:
            if is_member(value):
                return hook(value)
        return InvalidValue(type_name(kind), value)

    return write


def _test(kind: Any) -> Callable[[Any], bool]:
    """Return a test for values of *kind*, as exact as writing needs."""
    kind, _ = strip_annotations(kind)
    base = origin_or_self(kind)
    if base is Literal:
        values = {(type(option), option) for option in get_args(kind)}
        return lambda value: isinstance(value, Hashable) and (type(value), value) in values
    if base in (set, frozenset):
        return lambda value: isinstance(value, AbstractSet)
    if base in ARRAY_TYPES:
        return lambda value: isinstance(value, list | tuple)
    if base in OBJECT_TYPES:
        return lambda value: isinstance(value, Mapping)
    if isinstance(kind, type) and attrs.has(kind):
        # Exactly this class: the additional fields of a subclass would be lost.
        return lambda value: type(value) is kind
    if kind is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if kind is date:
        return lambda value: isinstance(value, date) and not isinstance(value, datetime)
    return lambda value: isinstance(value, kind)


def array_unstructure_hook(kind: Any, converter: Converter) -> Write:
    """Return a hook that writes a list; the items of a set in a fixed order."""
    items, is_kind = get_args(kind) or (Any,), _test(kind)
    hooks = [converter.get_unstructure_hook(item) for item in items if item is not ...]
    is_fixed = origin_or_self(kind) is tuple and bool(get_args(kind)) and items[-1] is not ...
    is_set = origin_or_self(kind) in (set, frozenset)

    def write(value: Any) -> Any:
        if not is_kind(value):
            return InvalidValue(type_name(kind), value)
        if is_fixed:
            if len(value) != len(hooks):
                return InvalidValue(type_name(kind), value)
            return [hook(item) for hook, item in zip(hooks, value, strict=True)]
        data = [hooks[0](item) for item in value]
        return _sort(data) if is_set else data

    return write


def _sort(items: list[Any]) -> list[Any]:
    # A set has no order, but repeating a step must produce the same bytes.
    try:
        return sorted(items, key=lambda item: orjson.dumps(item, option=orjson.OPT_SORT_KEYS))
    except TypeError:
        return items  # it contains an InvalidValue, which the caller reports


def mapping_unstructure_hook(kind: Any, converter: Converter) -> Write:
    """Return a hook that writes a dict, whose keys become strings."""
    key, item = (converter.get_unstructure_hook(arg) for arg in get_args(kind) or (str, Any))

    def write(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return InvalidValue(type_name(kind), value)
        return {key(k): item(v) for k, v in value.items()}

    return write


def class_unstructure_hook(cls: type, converter: Converter) -> Write:
    """Return a hook for instances of exactly *cls*: fields of a subclass would be lost."""
    compiled: Write | None = None

    def write(value: Any) -> Any:
        nonlocal compiled
        if type(value) is not cls:
            return InvalidValue(f"a {cls.__name__}", value)
        # At the first value, not earlier: a class that contains itself needs its own hook first.
        if compiled is None:
            compiled = make_dict_unstructure_fn(cls, converter, _cattrs_use_alias=True)
        return compiled(value)

    return write

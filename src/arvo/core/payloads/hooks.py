"""Hooks: cattrs hooks between JSON data and Python values, one for each kind of type.

Those that structure rely on the check of the schema: cattrs alone converts ``'false'`` to True.
Those that unstructure raise nothing: they put an InvalidValue in the place of a value that its type
does not allow.
"""

from collections.abc import Callable, Hashable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args

import orjson
from cattrs import Converter

from arvo.core.payloads.frozen_json import FrozenDict, FrozenList, FrozenRecord
from arvo.core.payloads.json_data import INTEGER_EXPECTED, INTEGER_MAX, INTEGER_MIN, InvalidValue
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import ClassKind, class_kind, class_of, type_name
from arvo.core.payloads.types.fields import (
    choice_members,
    discriminator,
    field_of,
    strip_annotations,
    tag_values,
    wire_value,
)
from arvo.core.payloads.types.scalars import ScalarType
from arvo.core.payloads.types.type_schema import (
    ARRAY_TYPES,
    OBJECT_TYPES,
    classes_in,
    origin_or_self,
    schema_of_type,
    union_members,
)

Read = Callable[[Any, Any], Any]
Write = Callable[[Any], Any]


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
    if {"integer", "number"} <= readers.keys() and readers["integer"][1] is not int:
        readers["integer"] = (_choice_or_number(*readers["integer"], *readers["number"]), None)
    tag = _tag_of(kind)
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


def _tag_of(union: Any) -> tuple[str, dict[str | int, Any]] | None:
    classes = classes_in(union_members(union))
    return discriminator(classes) if len(classes) > 1 else None


def _choice_or_number(choice: Read, kind: Any, number: Read, number_kind: Any) -> Read:
    """Return a hook for a whole number that is a member of a Literal or Enum, or else a float."""

    def read(value: Any, _: Any) -> Any:
        try:
            return choice(value, kind)
        except (KeyError, ValueError):
            return number(value, number_kind)

    return read


def pass_through(value: Any, _: Any) -> Any:
    """Return *value* as it is."""
    return value


def _tagged_class_hook(
    tag: str, class_by_value: dict[str | int, Any], converter: Converter
) -> Read:
    hooks = {
        value: (converter.get_structure_hook(cls), cls) for value, cls in class_by_value.items()
    }

    def read(value: Any, _: Any) -> Any:
        hook, cls = hooks[value[tag]]
        return hook(value, cls)

    return read


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
    tag = _tag_of(kind)
    # The test for floats comes last: it takes integers as well.
    members = sorted(union_members(kind), key=lambda it: strip_annotations(it)[0] is float)
    hooks = [
        (_member_test(member, tag and tag[0]), converter.get_unstructure_hook(member))
        for member in members
    ]

    def write(value: Any) -> Any:
        for is_member, hook in hooks:
            if is_member(value):
                return hook(value)
        return InvalidValue(type_name(kind), value)

    return write


def _member_test(kind: Any, tag: str | None) -> Callable[[Any], bool]:
    """Return a test for values of a member of a union whose classes have the key *tag*."""
    inner, _ = strip_annotations(kind)
    is_kind = _test(kind)
    is_record = class_kind(inner) is ClassKind.TYPED_DICT
    if tag is None or not (is_record or (class_of(inner) is not inner and is_payload_class(inner))):
        return is_kind
    # Other classes of the union have instances of the same Python type.
    field, values = field_of(inner, tag), tag_values(inner, tag)
    assert field is not None
    name = field.name
    get = dict.get if is_record else getattr
    return lambda value: is_kind(value) and wire_value(get(value, name, None)) in values


def _test(kind: Any) -> Callable[[Any], bool]:
    """Return a test for values of *kind*, as exact as writing needs."""
    kind, _ = strip_annotations(kind)
    base = origin_or_self(kind)
    if base is Literal:
        values = {(type(option), option) for option in get_args(kind)}
        return lambda value: isinstance(value, Hashable) and (type(value), value) in values
    if base in (Union, UnionType):
        tests = [_test(member) for member in union_members(kind)]
        return lambda value: any(test(value) for test in tests)
    if is_payload_class(kind):
        types = instance_types(kind)
        # Exactly this class: the additional fields of a subclass would be lost.
        return lambda value: type(value) in types
    if base in (set, frozenset):
        return lambda value: isinstance(value, AbstractSet)
    if base in ARRAY_TYPES:
        return lambda value: isinstance(value, list | tuple)
    if base in OBJECT_TYPES:
        return lambda value: isinstance(value, Mapping)
    if kind is float:
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return lambda value: isinstance(value, int) and not isinstance(value, bool)
    if kind is date:
        return lambda value: isinstance(value, date) and not isinstance(value, datetime)
    return lambda value: isinstance(value, kind)


def instance_types(kind: Any) -> tuple[type, ...]:
    """Return the Python types of the instances of a payload class: dicts, of a `TypedDict`."""
    if class_kind(kind) is ClassKind.TYPED_DICT:
        return (dict, FrozenRecord)
    return (class_of(kind),)


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

"""Codec: functions made for one payload class that check and convert an instance in one pass.

They know fields that are strings, numbers, booleans, dates and other scalars, Enums or Literals,
other classes of such fields, and lists and tuples of these. For any other value they raise an
exception: the caller then takes the general way, which converts the value or explains why it cannot
be converted.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import inf, isfinite
from types import NoneType, UnionType
from typing import Any, Final, NoReturn, TypeAlias, Union, final, get_args

from attrs import frozen

from arvo.core.payloads.frozen_json import FrozenDict, FrozenList, FrozenRecord
from arvo.core.payloads.hooks import choice_structure_hook
from arvo.core.payloads.json_data import INTEGER_MAX, INTEGER_MIN, is_encodable
from arvo.core.payloads.types.classes import (
    CLASSES_MAX,
    ClassKind,
    class_kind,
    class_of,
    return_code,
    return_names,
)
from arvo.core.payloads.types.field import Alias
from arvo.core.payloads.types.fields import (
    alias_keys,
    choice_members,
    fields_of,
    is_choice,
    strip_annotations,
    wire_value,
)
from arvo.core.payloads.types.scalars import SCALARS
from arvo.core.payloads.types.type_schema import origin_or_self

# Classes inside classes. A class that contains itself has no end.
NESTING_MAX: Final = 8
# A float holds each integer up to this one exactly.
_EXACT_MAX: Final = 2**53

_Convert: TypeAlias = Callable[[Any], Any]


@final
@frozen(eq=False)
class Codec:
    """*write* makes frozen JSON of an instance, *read* an instance of frozen JSON, or they raise.

    *is_constrained*: whether the schema has more constraints than the types of JSON, such as the
    format of a date; neither checks these.
    """

    write: Callable[[Any], FrozenDict]
    read: _Convert
    is_constrained: bool


@final
@frozen
class _Scalar:
    """The code of a scalar: the tests before writing and reading *v*, and what they make of it."""

    write_test: str
    read_test: str
    read: str = "{v}"
    written: str = "{v}"


@final
@frozen
class _Functions:
    """The functions that write and read the value of a field."""

    write: _Convert
    read: _Convert


_SCALARS: Final = {
    str: _Scalar("type({v}) is str and ({v}.isascii() or is_encodable({v}))", "type({v}) is str"),
    bool: _Scalar("type({v}) is bool", "type({v}) is bool"),
    int: _Scalar(
        f"type({{v}}) is int and {INTEGER_MIN} <= {{v}} <= {INTEGER_MAX}", "type({v}) is int"
    ),
    float: _Scalar(
        f"-inf < {{v}} < inf if type({{v}}) is float"
        f" else type({{v}}) is int and -{_EXACT_MAX} <= {{v}} <= {_EXACT_MAX}",
        "type({v}) is float or type({v}) is int",
        "float({v}) if type({v}) is int else {v}",
    ),
}
_STRINGS: Final = {
    # Exactly this type: a subclass may write itself in another way. A value that has no string, and
    # no bytes, takes the general way.
    kind: _Scalar(
        f"type({{v}}) is {kind.__name__}",
        "type({v}) is str",
        f"read_{kind.__name__}({{v}})",
        f"(write_{kind.__name__}({{v}}) or refuse({{v}}))",
    )
    for kind in SCALARS
}


@lru_cache(maxsize=CLASSES_MAX)
def codec_of(cls: Any) -> Codec | None:
    """Make the functions for a payload class, or return None if they do not know a field."""
    try:
        return _codec(cls, NESTING_MAX)
    except _UnknownError:
        return None


class _UnknownError(Exception):
    """A type or a value that these functions do not know."""


def _refuse(value: object) -> NoReturn:
    raise _UnknownError(value)


# The functions that the generated code calls.
_NAMES: Final[Mapping[str, Any]] = {
    "inf": inf,
    "is_encodable": is_encodable,
    "FrozenDict": FrozenDict,
    "FrozenRecord": FrozenRecord,
    "refuse": _refuse,
    **{kind.__name__: kind for kind in SCALARS},
    **{f"read_{kind.__name__}": scalar.read for kind, scalar in SCALARS.items()},
    **{f"write_{kind.__name__}": scalar.write for kind, scalar in SCALARS.items()},
}


def _codec(kind: Any, nesting_left: int) -> Codec:
    if class_kind(kind) is None:
        _refuse(kind)  # a class of another library, which reads and writes itself
    constraints: list[object] = []
    fields = [(field, _part(field.type, nesting_left, constraints)) for field in fields_of(kind)]
    cls, is_record = class_of(kind), class_kind(kind) is ClassKind.TYPED_DICT
    names = {**_NAMES, **return_names(cls)}
    is_instance = "is dict or type(value) is FrozenRecord" if is_record else "is cls"
    write = ["def write(value):", f"    if not (type(value) {is_instance}): refuse(value)"]
    if is_record and alias_keys(kind):
        names["keys"] = alias_keys(kind)
        write.append("    if not keys.isdisjoint(value): refuse(value)")
    read = ["def read(data):"]
    items, arguments = [], []
    for position, (field, part) in enumerate(fields):
        local, argument = f"v_{position}", f"data[{field.wire!r}]"
        item = f"value[{field.name!r}]" if is_record else f"value.{field.name}"
        name = f"{field.name!r}: " if is_record else f"{field.argument}="
        if isinstance(part, _Functions):
            names |= {f"write_{position}": part.write, f"read_{position}": part.read}
            items.append(f"{field.wire!r}: write_{position}({item})")
            arguments.append(f"{name}read_{position}({argument})")
            continue
        write.append(f"    {local} = {item}")
        write.append(f"    if not ({part.write_test.format(v=local)}): refuse({local})")
        read.append(f"    {local} = {argument}")
        read.append(f"    if not ({part.read_test.format(v=local)}): refuse({local})")
        items.append(f"{field.wire!r}: {part.written.format(v=local)}")
        arguments.append(f"{name}{part.read.format(v=local)}")
    write.append(f"    return FrozenDict({{{', '.join(items)}}})")
    if is_record:
        read.append(f"    return FrozenRecord({{{', '.join(arguments)}}})")
    else:
        read.append(f"    {return_code(cls, ', '.join(arguments))}")
    exec("\n".join((*write, *read)), names)  # noqa: S102  # as attrs does; names of fields only
    return Codec(names["write"], names["read"], bool(constraints))


def _part(kind: Any, nesting_left: int, constraints: list[object]) -> _Scalar | _Functions:
    kind, markers = strip_annotations(kind)
    constraints += [marker for marker in markers if not isinstance(marker, Alias)]
    if kind in _SCALARS:
        return _SCALARS[kind]
    if kind in _STRINGS:
        constraints.append(kind)
        return _STRINGS[kind]
    base, inner = origin_or_self(kind), get_args(kind)
    if not nesting_left:
        _refuse(kind)
    if base in (Union, UnionType) and len(inner) == 2 and NoneType in inner:
        other = inner[0] if inner[1] is NoneType else inner[1]
        return _optional(_part(other, nesting_left, constraints))
    if base is list and inner:
        return _items(list, _part(inner[0], nesting_left - 1, constraints), inner[0])
    if base is tuple and len(inner) == 2 and inner[1] is ...:
        return _items(tuple, _part(inner[0], nesting_left - 1, constraints), inner[0])
    if class_kind(kind) is not None:
        codec = _codec(kind, nesting_left - 1)
        constraints += ["nested"] * codec.is_constrained
        return _Functions(codec.write, codec.read)
    if is_choice(kind):
        constraints.append(kind)
        return _choice(kind)
    _refuse(kind)


def _choice(kind: Any) -> _Functions:
    # Keyed by type too: True is 1, and a member of a StrEnum is its string.
    table = {(type(member), member): wire_value(member) for member in choice_members(kind)}
    read = choice_structure_hook(kind)
    return _Functions(lambda value: table[type(value), value], lambda data: read(data, kind))


def _optional(part: _Scalar | _Functions) -> _Scalar | _Functions:
    if isinstance(part, _Scalar):
        return _Scalar(
            f"{{v}} is None or ({part.write_test})",
            f"{{v}} is None or {part.read_test}",
            f"None if {{v}} is None else {part.read}",
            f"None if {{v}} is None else {part.written}",
        )
    write, read = part.write, part.read
    return _Functions(
        lambda value: None if value is None else write(value),
        lambda value: None if value is None else read(value),
    )


def _items(make: Callable[[Any], Any], part: _Scalar | _Functions, kind: Any) -> _Functions:
    kind, _ = strip_annotations(kind)
    if isinstance(part, _Functions) or kind not in _ITEMS:
        part = _functions(part)
        write_item, read_item = part.write, part.read
        return _Functions(
            lambda items: FrozenList([write_item(item) for item in _array(items)]),
            lambda items: make([read_item(item) for item in _frozen_array(items)]),
        )
    are_valid = _ITEMS[kind]

    def write(items: Any) -> FrozenList:
        # In C: such a list may be long.
        if set(map(type, _array(items))) <= {kind} and are_valid(items):
            return FrozenList(items)
        return _refuse(items)

    def read(items: Any) -> Any:
        kinds = set(map(type, _frozen_array(items)))
        if kinds <= {kind}:
            return make(items)
        return _refuse(items)

    return _Functions(write, read)


def _functions(part: _Scalar | _Functions) -> _Functions:
    if isinstance(part, _Functions):
        return part
    write, read = (
        eval(f"lambda v: {made} if ({test}) else refuse(v)".format(v="v"), {**_NAMES})  # noqa: S307  # as above
        for made, test in ((part.written, part.write_test), (part.read, part.read_test))
    )
    return _Functions(write, read)


_ITEMS: Final[Mapping[type, Callable[[Any], bool]]] = {
    str: lambda items: "".join(items).isascii(),
    bool: lambda _: True,
    int: lambda items: all([INTEGER_MIN <= item <= INTEGER_MAX for item in items]),  # noqa: C419  # a list is faster
    float: lambda items: all(map(isfinite, items)),
}


def _array(items: Any) -> Any:
    return items if type(items) is list or type(items) is tuple else _refuse(items)


def _frozen_array(items: Any) -> Any:
    return items if type(items) is FrozenList else _refuse(items)

"""JSON data: values that survive a round trip through JSON text unchanged, and freezing them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeAlias, cast

import orjson
from attrs import frozen

from arvo.core.payloads.frozen_json import EMPTY, FrozenDict, FrozenList
from arvo.core.violations.issue import ISSUES_COUNTED_MAX, Issue, Issues, join_path, short_repr

Json: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None

DEPTH_MAX = 64
"""How deep data may nest: this library and other readers walk it recursively."""

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1
"""The range of 64 bits, signed or unsigned. Many JSON readers silently turn larger integers into
floats."""

INTEGER_EXPECTED = f"an integer from {INTEGER_MIN} to {INTEGER_MAX}"
"""The words for that range in an issue."""


@frozen(eq=False)
class InvalidValue:
    """A value that its type does not allow, left in place so that its issue gets the right path."""

    expected: str
    value: object


def freeze_object(value: object, path: str = "data") -> FrozenDict | Issues:
    """Freeze a JSON object, or return every value in it that JSON would change or refuse.

    >>> str(freeze_object({"lines": [{"amount": float("nan")}]}))
    'data.lines[0].amount: expected a finite number, got nan'
    """
    if type(value) is FrozenDict:
        return value
    if not isinstance(value, Mapping):
        return Issues.one(path, "an object", short_repr(value))
    data = to_json_data(value, path)
    return data if isinstance(data, Issues) else cast("FrozenDict", freeze_unchecked(data))


def freeze(value: object, path: str = "data") -> Json | Issues:
    """Freeze any JSON value, or return its faults."""
    data = to_json_data(value, path)
    return data if isinstance(data, Issues) else freeze_unchecked(data)


def freeze_unchecked(value: Any) -> Any:
    """Freeze a value that is known to be JSON data."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return value
    if not value:
        return EMPTY if kind is dict else FrozenList()
    if kind is list:
        # In C: most long lists hold scalars alone.
        if not _CONTAINERS.isdisjoint(map(type, value)):
            value = map(freeze_unchecked, value)
        return FrozenList(value)
    for item in value.values():
        if type(item) is dict or type(item) is list:
            return FrozenDict({key: freeze_unchecked(item) for key, item in value.items()})
    return FrozenDict(value)


class UncertainError(ValueError):
    """Parsed data that nests too deep, or that may have lost the digits of an integer."""


def freeze_parsed(value: Any, depth_left: int = DEPTH_MAX) -> Any:
    """Freeze a value that orjson has parsed; raises UncertainError where its text must be read."""
    kind = type(value)
    if kind is dict:
        if not depth_left:
            raise UncertainError
        if not value:
            return EMPTY
        for item in value.values():
            kind = type(item)
            if kind is dict or kind is list:
                left = depth_left - 1
                return FrozenDict({key: freeze_parsed(item, left) for key, item in value.items()})
            if kind is float and may_be_large_integer(item):
                raise UncertainError
        return FrozenDict(value)
    if kind is list:
        if not depth_left:
            raise UncertainError
        # In C: most long lists hold strings alone.
        if value and not _are_strings(value):
            value = [freeze_parsed(item, depth_left - 1) for item in value]
        return FrozenList(value)
    if may_be_large_integer(value):
        raise UncertainError
    return value


def may_be_large_integer(value: object) -> bool:
    """Return whether orjson may have made *value* of an integer beyond 64 bits."""
    return type(value) is float and not -_FLOAT_MIN < value < _FLOAT_MIN


# orjson reads an integer beyond 64 bits as a float.
_FLOAT_MIN = 2.0**63
_CONTAINERS = frozenset({dict, list})


def _are_strings(items: list[Any]) -> bool:
    try:
        "".join(items)
    except TypeError:
        return False
    return True


def is_json(value: Any, depth_left: int = DEPTH_MAX) -> bool:
    """Return whether *value* is a dict, list, string, number, boolean or None within the limits."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii()) or is_encodable(value)
    if kind is dict:
        if not depth_left:
            return False
        for key, item in value.items():
            if type(key) is not str or not (key.isascii() or is_encodable(key)):
                return False
            # Most items are strings, which need no call.
            if type(item) is str and item.isascii():
                continue
            if not is_json(item, depth_left - 1):
                return False
        return True
    if kind is list:
        return depth_left > 0 and _are_json(value, depth_left - 1)
    if kind is FrozenDict or kind is FrozenList:
        # Only `freeze` makes these, from checked data; only their depth depends on where they are.
        return depth_left == DEPTH_MAX or _is_within_depth(value, depth_left)
    if kind is int:
        return bool(INTEGER_MIN <= value <= INTEGER_MAX)
    if kind is float:
        return isfinite(value)
    return value is None or kind is bool


def _are_json(items: list[Any], depth_left: int) -> bool:
    # In C for the most common long list.
    if set(map(type, items)) == _ONLY_STRINGS and "".join(items).isascii():
        return True
    return all([is_json(item, depth_left) for item in items])  # noqa: C419  # a list is faster


def _is_within_depth(value: Any, depth_left: int) -> bool:
    if not depth_left:
        return False
    items = value.values() if type(value) is FrozenDict else value
    return all(
        _is_within_depth(item, depth_left - 1)
        for item in items
        if type(item) is FrozenDict or type(item) is FrozenList
    )


def to_json_data(value: object, path: str) -> Any | Issues:
    """Return *value* as JSON data, or every reason why it has no such form.

    Subclasses of dict, list, str and numbers become their base type, tuples become lists.
    Everything else (NaN, a date, an object) is refused and not converted to a similar value.
    """
    if is_json(value):
        return value
    issues: list[Issue] = []
    try:
        data = _convert(value, (None, path), DEPTH_MAX, issues)
    except Exception as error:  # noqa: BLE001  # a mapping of a user raises anything
        return Issues.one(path, "data that can be read", short_repr(error))
    return Issues.of(issues) if issues else data


def _convert(value: Any, at: "_Path", depth_left: int, issues: list[Issue]) -> Any:
    if type(value) in _SCALARS and is_json(value):
        return value
    if len(issues) >= ISSUES_COUNTED_MAX:
        return None  # the message lists no more than these
    if isinstance(value, dict | list | tuple | Mapping):
        if not depth_left:
            issues.append(Issue(_path(at), f"at most {DEPTH_MAX} levels of nesting", "more"))
            return None
        if isinstance(value, list | tuple):
            return [_convert(item, (at, i), depth_left - 1, issues) for i, item in enumerate(value)]
        return _convert_object(value, at, depth_left, issues)
    expected = _expected(value)
    if expected:
        issues.append(Issue(_path(at), expected, _got(value)))
        return None
    return _base_value(value)


def _convert_object(
    value: Mapping[Any, Any], at: "_Path", depth_left: int, issues: list[Issue]
) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is str and key.isascii():
            data[key] = _convert(item, (at, key), depth_left - 1, issues)
        elif isinstance(key, str) and is_encodable(key):
            data[str.__str__(key)] = _convert(item, (at, key), depth_left - 1, issues)
        else:
            issues.append(Issue(_path(at), "string keys", _got(key)))
    return data


_ONLY_STRINGS = {str}
_SCALARS = frozenset({str, int, float, bool, type(None)})

# A path as a linked list: its text is built only for issues.
_Path: TypeAlias = tuple[Any, str | int]


def _path(at: _Path) -> str:
    parent, step = at
    return str(step) if parent is None else join_path(_path(parent), step)


def _base_value(value: Any) -> Any:
    # By the base type's own method: a subclass, such as an Enum, may override it.
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _expected(value: object) -> str | None:
    match value:
        case InvalidValue(expected=expected):
            return expected
        case str():
            return None if is_encodable(value) else "text without lone surrogates"
        case int():
            return None if INTEGER_MIN <= value <= INTEGER_MAX else INTEGER_EXPECTED
        case float():
            return None if isfinite(value) else "a finite number"
        case None:
            return None
        case _:
            return "JSON data"


def _got(value: object) -> str:
    return short_repr(value.value if isinstance(value, InvalidValue) else value)


def is_encodable(text: str) -> bool:
    """Return whether *text* can be encoded as UTF-8; a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def are_unique(items: list[Any]) -> bool:
    """Return True if no two JSON values are equal; 1 and 1.0 are, 1 and true are not.

    >>> are_unique([1, True, "1"]), are_unique([{"a": 1, "b": 2}, {"b": 2.0, "a": 1}])
    (True, False)
    """
    # Bytes, not tuples of numbers: Python's hash of numbers has collisions that can be computed.
    return len(set(map(canonical, items))) == len(items)


def canonical(value: Any) -> bytes:
    """Return the same bytes for equal JSON values, and others for different ones."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    # A float is written with a point or an exponent; strings with these characters cost time only.
    if b"." not in text and b"e" not in text:
        return text
    return orjson.dumps(_with_integers(value), option=orjson.OPT_SORT_KEYS)


def _with_integers(value: Any) -> Any:
    """Replace the floats that equal an integer."""
    if isinstance(value, dict):
        return {key: _with_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    is_integral = isinstance(value, float) and value.is_integer()
    return int(value) if is_integral and INTEGER_MIN <= value <= INTEGER_MAX else value

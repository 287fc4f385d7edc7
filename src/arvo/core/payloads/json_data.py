"""Plain: data that is the same after a trip through JSON text."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeAlias

from attrs import frozen

from arvo.core.payloads.frozen_json import FrozenDict, FrozenList
from arvo.core.violations.issue import COUNTED_MAX, Issue, Issues, below, short

DEPTH_MAX = 64
"""How deep data may nest. Every reader walks it recursively, and so do those we do not know."""

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1
"""What 64 bits hold, signed or not. Beyond, JSON readers turn integers into floats, silently."""


@frozen(eq=False)
class Unfit:
    """A value that its type does not allow, left where it stood so that the issue has its path."""

    expected: str
    value: object


def is_plain(value: Any, room: int = DEPTH_MAX) -> bool:
    """Tell whether *value* is dicts, lists, texts, numbers, booleans and None, within bounds."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii()) or encodes(value)
    if kind is dict:
        if not room:
            return False
        for key, inner in value.items():
            if type(key) is not str or not (key.isascii() or encodes(key)):
                return False
            # Texts are the most of it: not worth a call each.
            if type(inner) is str and inner.isascii():
                continue
            if not is_plain(inner, room - 1):
                return False
        return True
    if kind is list:
        return room > 0 and all([is_plain(inner, room - 1) for inner in value])  # noqa: C419  # a list is faster
    if kind is FrozenDict or kind is FrozenList:
        # Made by `freeze` alone, of what had been found plain; here it may stand too deep.
        return room == DEPTH_MAX or _fits(value, room)
    if kind is int:
        return bool(INTEGER_MIN <= value <= INTEGER_MAX)
    if kind is float:
        return isfinite(value)
    return value is None or kind is bool


def _fits(value: Any, room: int) -> bool:
    if not room:
        return False
    inner = value.values() if type(value) is FrozenDict else value
    return all(
        _fits(each, room - 1)
        for each in inner
        if type(each) is FrozenDict or type(each) is FrozenList
    )


def plain(value: object, path: str) -> Any | Issues:
    """Give *value* as plain data, or every reason why it has no such form.

    Subclasses of dict, list, str and numbers become what they are a kind of, tuples become lists.
    All else (NaN, a date, an object) is refused and not turned into something near to it.
    """
    if is_plain(value):
        return value
    issues: list[Issue] = []
    found = _plain(value, (None, path), DEPTH_MAX, issues)
    return Issues.of(issues) if issues else found


def _plain(value: Any, at: "_At", room: int, issues: list[Issue]) -> Any:
    if type(value) in _SCALARS and is_plain(value):
        return value
    if len(issues) >= COUNTED_MAX:
        return None  # enough is known
    if isinstance(value, dict | list | tuple | Mapping):
        if not room:
            issues.append(Issue(_path(at), f"at most {DEPTH_MAX} levels of nesting", "more"))
            return None
        if isinstance(value, list | tuple):
            return [_plain(each, (at, i), room - 1, issues) for i, each in enumerate(value)]
        return _object(value, at, room, issues)
    wrong = _wrong(value)
    if wrong:
        issues.append(Issue(_path(at), wrong, _came(value)))
        return None
    return _parent(value)


def _object(value: Mapping[Any, Any], at: "_At", room: int, issues: list[Issue]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in value.items():
        if type(key) is str and key.isascii():
            found[key] = _plain(inner, (at, key), room - 1, issues)
        elif isinstance(key, str) and encodes(key):
            found[str.__str__(key)] = _plain(inner, (at, key), room - 1, issues)
        else:
            issues.append(Issue(_path(at), "keys that are texts", _came(key)))
    return found


_SCALARS = frozenset({str, int, float, bool, type(None)})

# A path as it grows on the way down: it is put into words only where something is wrong.
_At: TypeAlias = tuple[Any, str | int]


def _path(at: _At) -> str:
    parent, step = at
    return str(step) if parent is None else below(_path(parent), step)


def _parent(value: Any) -> Any:
    # The parent's own view of it: a subclass (an Enum, say) may present itself differently.
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def _wrong(value: object) -> str | None:
    match value:
        case Unfit(expected=expected):
            return expected
        case str():
            return None if encodes(value) else "text without lone surrogates"
        case int():
            return None if INTEGER_MIN <= value <= INTEGER_MAX else "an integer of 64 bits"
        case float():
            return None if isfinite(value) else "a finite number"
        case None:
            return None
        case _:
            return "JSON data"


def _came(value: object) -> str:
    return short(value.value if isinstance(value, Unfit) else value)


def encodes(text: str) -> bool:
    """Tell whether *text* can be written as UTF-8: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

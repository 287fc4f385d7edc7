"""JSON: the data that travels, frozen."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from arvo.core.payloads.frozen_json import FrozenDict, FrozenList
from arvo.core.payloads.json_data import plain
from arvo.core.violations.issue import Issues, short

Json: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None


def freeze_object(value: object, path: str = "data") -> FrozenDict | Issues:
    """Freeze a JSON object, or say what in it the wire would change or refuse (B30, B32).

    >>> str(freeze_object({"lines": [{"amount": float("nan")}]}))
    'data.lines[0].amount: expected a finite number, got nan'
    """
    if type(value) is FrozenDict:
        return value
    if not isinstance(value, Mapping):
        return Issues.one(path, "an object", short(value))
    found = plain(value, path)
    return found if isinstance(found, Issues) else FrozenDict(_entries(found))


def freeze(value: object, path: str = "data") -> Json | Issues:
    """Freeze any JSON value, or say what is wrong with it."""
    found = plain(value, path)
    return found if isinstance(found, Issues) else frozen_json(found)


def frozen_json(value: Any) -> Any:
    """Freeze data that is known to be plain JSON."""
    kind = type(value)
    if kind is dict:
        return FrozenDict(_entries(value))
    if kind is list:
        return FrozenList([frozen_json(item) for item in value])
    return value


def _entries(value: dict[str, Any]) -> dict[str, Any]:
    return {
        # Most entries are scalars, not worth a call each.
        key: frozen_json(item) if type(item) is dict or type(item) is list else item
        for key, item in value.items()
    }

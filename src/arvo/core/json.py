"""JSON: the data that travels, frozen."""

from collections.abc import Mapping
from typing import Any, Final, NoReturn, TypeAlias

from arvo.core.issue import Issues, short
from arvo.core.plain import plain

Json: TypeAlias = dict[str, Any] | list[Any] | str | int | float | bool | None


class FrozenDict(dict[str, Any]):
    """A JSON object that refuses to change; equal to a plain dict of the same content.

    A dict all the same, so that orjson, jsonschema-rs and `match` take it as it is.
    """

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type["FrozenDict"], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)

    def __copy__(self) -> "FrozenDict":
        return self

    def __deepcopy__(self, memo: object) -> "FrozenDict":
        return self

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("an event's data cannot be changed: build a new dict from it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


class FrozenList(list[Any]):
    """A JSON array that refuses to change; equal to a plain list of the same content."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self))

    def __reduce__(self) -> tuple[type["FrozenList"], tuple[list[Any]]]:
        return FrozenList, (list(self),)

    def __copy__(self) -> "FrozenList":
        return self

    def __deepcopy__(self, memo: object) -> "FrozenList":
        return self

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("an event's data cannot be changed: build a new list from it")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse


EMPTY: Final = FrozenDict()


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

"""Frozen: JSON objects and arrays that refuse to change (B30)."""

from typing import Any, Final, NoReturn


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

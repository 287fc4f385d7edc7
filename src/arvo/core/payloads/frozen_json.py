"""Frozen JSON: immutable JSON objects and arrays."""

from typing import Any, Final, NoReturn, Self


class _ImmutableDict(dict[str, Any]):
    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type["_ImmutableDict"], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("an event's data cannot be changed: build a new dict from it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


class FrozenDict(_ImmutableDict):
    """An immutable JSON object, equal to a plain dict of the same content.

    It is still a dict, so orjson, jsonschema-rs and `match` accept it without conversion.
    """

    __slots__ = ()


class FrozenRecord(_ImmutableDict):
    """An immutable instance of a `TypedDict`: its values are those of its types, not JSON."""

    __slots__ = ()


class FrozenList(list[Any]):
    """An immutable JSON array, equal to a plain list of the same content."""

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

"""Uniqueness: the keyword `uniqueItems`, in time proportional to the size of the array."""

from typing import Any, final

import orjson

# From here on orjson cannot write an integer.
_INTEGER_END = 2**64


@final
class UniqueItems:
    """The keyword `uniqueItems` of a validator.

    The validator's own compares each pair of items that have one hash, and it hashes integers as
    floats: 20,000 items with neighbouring integers beyond 53 bits took 19 s.
    """

    def __init__(self, parent_schema: Any, value: Any, schema_path: Any) -> None:  # noqa: ARG002
        self.is_required = value is True

    def validate(self, instance: Any) -> None:
        """Raise ValueError if *instance* is an array with equal items."""
        if self.is_required and isinstance(instance, list) and not are_unique(instance):
            raise ValueError("unique items")


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
    return int(value) if is_integral and -_INTEGER_END // 2 <= value < _INTEGER_END else value

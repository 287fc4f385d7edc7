"""Arguments: refuses a value that an annotation rules out, for callers that no checker reads."""

from collections.abc import Callable, Iterable
from datetime import datetime
from types import UnionType
from typing import Final

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated

# What a 32-bit integer holds, which every store can count to.
LIMIT_MAX: Final = 2**31 - 1


def check_argument(
    name: str, value: object, kind: type | UnionType, expected: str, *, of: str
) -> None:
    """Raise `Violated` unless the argument *name* of *of*, a function or a class, is a *kind*."""
    if not isinstance(value, kind):
        raise refusal(name, value, expected, of)


def check_function(name: str, value: object, expected: str, *, of: str) -> None:
    """Raise `Violated` unless the optional argument *name* of *of* can be called, or is None."""
    if value is not None and not isinstance(value, Callable):  # type: ignore[arg-type]
        raise refusal(name, value, expected, of)


def check_list(name: str, value: object, item: str, *, of: str) -> None:
    """Raise `Violated` unless *value* can be read as a list of *item*; a string cannot."""
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        raise refusal(name, value, f"a list of {item}", of)


def refusal(name: str, value: object, expected: str, of: str) -> Violated:
    """Return the `Violated` for the argument *name* of *of*."""
    issue = Issue(name, expected, short_repr(value))
    return Violated(ConfigViolation(f"{of} cannot take this argument", issue))


def check_limit(value: object, *, of: str) -> None:
    """Raise `Violated` unless *value* is a number of items to return or to act on.

    Not below 0: a store would return all items, and a slice all but some.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LIMIT_MAX:
        raise refusal("limit", value, f"a whole number from 0 to {LIMIT_MAX}", of)


def check_time(name: str, value: object, *, of: str) -> None:
    """Raise `Violated` unless *value* is None or a time with an offset from UTC."""
    if value is not None and (not isinstance(value, datetime) or value.utcoffset() is None):
        raise refusal(name, value, "a datetime with a time zone, such as datetime.now(UTC)", of)

"""Arguments: refuses a value that an annotation rules out, for callers that no checker reads."""

from collections.abc import Iterable
from types import UnionType

from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated


def check_argument(
    name: str, value: object, kind: type | UnionType, expected: str, *, of: str
) -> None:
    """Raise `Violated` unless the argument *name* of *of*, a function or a class, is a *kind*."""
    if not isinstance(value, kind):
        issue = Issue(name, expected, short_repr(value))
        raise Violated(ConfigViolation(f"{of} cannot take this argument", issue))


def check_list(name: str, value: object, item: str, *, of: str) -> None:
    """Raise `Violated` unless *value* can be read as a list of *item*; a string cannot."""
    is_list = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    if not is_list:
        issue = Issue(name, f"a list of {item}", short_repr(value))
        raise Violated(ConfigViolation(f"{of} cannot take this argument", issue))

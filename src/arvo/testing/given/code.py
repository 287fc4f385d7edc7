"""Code: render values as the Python that makes them, and two lists of values as a diff."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import ndiff
from textwrap import indent
from typing import Any, Final

import attrs

# Counterexamples are shrunk, so a value longer than this is not useful to read.
CODE_CHARACTERS_MAX: Final = 2_000
_FACTORY: Final[Any] = attrs.Factory  # a class, but its stubs declare a function


def to_code(value: Any) -> str:
    """Return the Python expression that makes *value*, without fields that have their default.

    >>> from arvo import Emit
    >>> to_code(Emit({"n": 1}, type="com.count.up", domain="ops"))
    "Emit({'n': 1}, type='com.count.up', domain=('ops',))"
    """
    if attrs.has(type(value)):
        return f"{type(value).__name__}({', '.join(_arguments(value))})"
    if isinstance(value, Mapping):
        items = (f"{key!r}: {to_code(item)}" for key, item in value.items())
        return f"{{{', '.join(items)}}}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(to_code, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)[:CODE_CHARACTERS_MAX]


def _arguments(value: Any) -> Iterator[str]:
    for field in attrs.fields(type(value)):
        current = getattr(value, field.name)
        default: Any = field.default
        if isinstance(default, _FACTORY):
            default = attrs.NOTHING if default.takes_self else default.factory()
        if not field.init or (default is not attrs.NOTHING and current == default):
            continue
        if field.kw_only or default is not attrs.NOTHING:
            yield f"{field.alias}={to_code(current)}"
        else:
            yield to_code(current)


def align(expected: Iterable[object], actual: Iterable[object]) -> str:
    """Return a diff of two lists of values, one line each.

    Lines with `-` are expected, lines with `+` are actual, and `?` marks the characters that
    differ.

    >>> print(align([1, 2], [1, 3]))
      1
    - 2   (expected)
    + 3   (actual)
    """
    notes = {"- ": "   (expected)", "+ ": "   (actual)"}
    lines = ndiff([to_code(value) for value in expected], [to_code(value) for value in actual])
    return "\n".join(f"{line.rstrip()}{notes.get(line[:2], '')}" for line in lines)


def format_block(heading: str, body: str) -> str:
    """Return *heading*, and *body* indented below it."""
    return f"{heading}\n\n{indent(body, '    ')}"

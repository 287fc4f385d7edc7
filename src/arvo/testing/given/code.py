"""Code: values as the Python that makes them, and two lists of them side by side."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import ndiff
from textwrap import indent
from typing import Any, Final

import attrs

# A counterexample is shrunk, so what is longer than this is not to be read anyway.
CODE_CHARACTERS_MAX: Final = 2_000
_FACTORY: Final[Any] = attrs.Factory  # a class, which its stubs call a function


def code(value: Any) -> str:
    """Say *value* as Python that makes it, without the fields that have their defaults.

    >>> from arvo import Emit
    >>> code(Emit({"n": 1}, type="com.count.up", domain="ops"))
    "Emit({'n': 1}, type='com.count.up', domain=('ops',))"
    """
    if attrs.has(type(value)):
        return f"{type(value).__name__}({', '.join(_arguments(value))})"
    if isinstance(value, Mapping):
        items = (f"{key!r}: {code(each)}" for key, each in value.items())
        return f"{{{', '.join(items)}}}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(code, value))
        if isinstance(value, list):
            return f"[{inner}]"
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)[:CODE_CHARACTERS_MAX]


def _arguments(value: Any) -> Iterator[str]:
    for each in attrs.fields(type(value)):
        given = getattr(value, each.name)
        default: Any = each.default
        if isinstance(default, _FACTORY):
            default = attrs.NOTHING if default.takes_self else default.factory()
        if not each.init or (default is not attrs.NOTHING and given == default):
            continue
        if each.kw_only or default is not attrs.NOTHING:
            yield f"{each.alias}={code(given)}"
        else:
            yield code(given)


def aligned(wanted: Iterable[object], came: Iterable[object]) -> str:
    """Put two lists of values side by side: `-` was wanted, `+` came, `?` marks where they differ.

    >>> print(aligned([1, 2], [1, 3]))
      1
    - 2   (wanted)
    + 3   (came)
    """
    notes = {"- ": "   (wanted)", "+ ": "   (came)"}
    lines = ndiff([code(each) for each in wanted], [code(each) for each in came])
    return "\n".join(f"{line.rstrip()}{notes.get(line[:2], '')}" for line in lines)


def told(heading: str, body: str) -> str:
    """Put *body* below its heading."""
    return f"{heading}\n\n{indent(body, '    ')}"

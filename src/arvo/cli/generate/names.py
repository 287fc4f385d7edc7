"""Names: the names in Python of the titles and keys of a schema, which are any text."""

import builtins
import re
from collections.abc import Collection, Container, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain, count
from keyword import iskeyword
from typing import Final
from unicodedata import normalize

from arvo.cli.generate.source import Expression, flat

# The names that a module imports, and those that Python itself has.
_TAKEN: Final = frozenset(dir(builtins)) | frozenset(
    {"Alias", "Annotated", "Any", "Contract", "Decimal", "Format", "Ge", "Gt", "Le", "Literal"}
    | {"Lt", "Mapping", "MaxLen", "MinLen", "MultipleOf", "NotRequired", "OrchestratorContract"}
    | {"Pattern", "SimpleContract", "TypedDict", "UUID", "Version", "Workflow", "ZodSchema"}
    | {"date", "datetime", "doc", "frozen", "time", "timedelta"}
)
# The strings in an expression, and the names in the rest of it.
_STRING: Final = re.compile(r"""(["'])(\\.|(?!\1)[^\\])*\1""")
_NAME: Final = re.compile(r"\w+")


def class_name(title: str, taken: Collection[str]) -> str | None:
    """Return a name that no other class has, or None where *title* has no letter."""
    base = re.sub(r"\W", "_", identifier(title)).strip("_")
    if not base.isidentifier():
        return None
    names = _numbered(base)
    return next(it for it in names if it not in taken and it not in _TAKEN and not iskeyword(it))


def identifier(text: str) -> str:
    """Return *text* as Python reads a name: two that it normalises to one name are one."""
    return normalize("NFKC", text)


def field_name(key: str, taken: AbstractSet[str]) -> str:
    """Return the name of a field in Python: the words of its key in lower case.

    An attribute that is named as a type hides it from the fields below, and from type checkers:
    *taken* has the names that the types of the class use.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", identifier(key))
    # Once more: the lower case of a letter may be another letter with an accent.
    name = identifier(re.sub(r"\W+", "_", words).strip("_").lower())
    if not name.isidentifier():
        name = f"field_{name}".rstrip("_")
    if iskeyword(name) or name == "self" or (name in taken and name in _TAKEN):
        name += "_"
    return free_name(name, taken, "_")


def free_name(name: str, taken: Container[str], joint: str = "") -> str:
    """Return *name*, or the first one with a number that is not *taken*."""
    return next(it for it in _numbered(name, joint) if it not in taken)


def _numbered(name: str, joint: str = "") -> Iterator[str]:
    # Lazily, as nearly every first name is free, and without a limit: all keys may be signs.
    return chain((name,), (f"{name}{joint}{number}" for number in count(2)))


def names_in(expression: Expression) -> set[str]:
    """Return the names that an expression uses, without the words of its strings."""
    return set(_NAME.findall(_STRING.sub("", flat(expression))))

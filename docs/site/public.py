"""Public: the names that users may import, by package."""

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

from docs.site.examples import has_doctest, page_of
from docs.site.signatures import signature_of

PACKAGES: Final = (
    "arvo",
    "arvo.agents",
    "arvo.codecs",
    "arvo.compose",
    "arvo.console",
    "arvo.mcp",
    "arvo.models",
    "arvo.http",
    "arvo.statechart",
    "arvo.telemetry",
    "arvo.testing",
    "arvo.testing.agents",
)


@cache
def public_names() -> Mapping[tuple[str, str], Any]:
    """Map each package and public name to its object."""
    found: dict[tuple[str, str], Any] = {}
    for name in PACKAGES:
        package = importlib.import_module(name)
        # Those that need a driver are not in `__all__`, as `import *` would load it.
        lazy = chain.from_iterable(getattr(package, "_NEED_DRIVERS", {}).values())
        for public in (*package.__all__, *lazy):
            found[name, public] = getattr(package, public)
    return MappingProxyType(found)


def example_of(name: str, candidate: object) -> str | None:
    """Return the page that shows a public name: "" for its own docstring, None where there is none.

    A class that is only taken or returned, such as a result, is shown where its function is.
    """
    if has_doctest(candidate):
        return ""
    names, seen = [name], {name}
    # Those that are nearest first; a class may be the field of a result.
    for each in names:
        if (page := page_of(each)) is not None:
            return page
        users = [user for user in _users().get(each, ()) if user not in seen]
        names += users
        seen.update(users)
    return None


@cache
def _users() -> Mapping[str, tuple[str, ...]]:
    """Map each name to the public functions and methods whose signatures have it."""
    users: dict[str, dict[str, None]] = {}
    for (_, name), candidate in public_names().items():
        for user, function in _functions(name, candidate):
            signature = signature_of(function)
            for word in re.findall(r"\w+", " ".join(signature or ())):
                users.setdefault(word, {})[user] = None
    return {word: tuple(sorted(found)) for word, found in users.items()}


def _functions(name: str, candidate: Any) -> Iterator[tuple[str, Any]]:
    yield name, candidate
    for member in dir(candidate) if inspect.isclass(candidate) else ():
        if not member.startswith("_"):
            value = inspect.getattr_static(candidate, member)
            yield member, getattr(value, "fget", None) or value

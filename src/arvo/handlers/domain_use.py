"""Domain use: whether the code of a workflow may choose a domain for its requests."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

import attrs

from arvo.core.command import Command

# The word of a keyword argument (`Emit(..., domain="x")`) or of a mapping's key.
_DOMAIN: Final = "domain"
# Functions that one function leads to; beyond that the answer is "it may".
FUNCTIONS_MAX: Final = 200


def may_choose_domain(code: object) -> bool:
    """Return True if a function, or a chart's actions, may give a request a domain.

    The code is searched and not run: for a keyword argument or a key `domain`, also in the
    functions that it refers to by name. The domain may be that of another event, so False is
    certain and True is not.
    """
    seen: set[int] = set()
    left: list[object] = [code]
    while left:
        value = left.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if len(seen) > FUNCTIONS_MAX:
            return True
        if isinstance(value, CodeType):
            if any(_is_domain(constant) for constant in value.co_consts):
                return True
        elif isinstance(value, Command):
            if getattr(value, _DOMAIN, ()):
                return True
        elif isinstance(value, Mapping) and _DOMAIN in value:
            return True
        left += _parts(value)
    return False


def _is_domain(constant: object) -> bool:
    # The names of keyword arguments are a tuple among the constants.
    return constant == _DOMAIN or (isinstance(constant, tuple) and _DOMAIN in constant)


def _parts(value: Any) -> Iterator[object]:
    """Yield the values in which a value may keep code."""
    match value:
        case FunctionType():
            yield value.__code__
            yield from _referred(value)
        case MethodType():
            yield value.__func__
        case partial():
            yield from (value.func, *value.args, *value.keywords.values())
        case CodeType():
            yield from (constant for constant in value.co_consts if isinstance(constant, CodeType))
        case Mapping():
            yield from value.values()
        case tuple() | list():
            yield from value
        case _ if attrs.has(type(value)) and not isinstance(value, type):
            yield from (getattr(value, field.name) for field in attrs.fields(type(value)))
        case _:
            # A callable object keeps its code in its class.
            yield vars(type(value)).get("__call__")


def _referred(function: FunctionType) -> Iterator[object]:
    """Yield the functions that a function names, but none of this library."""
    cells = function.__closure__ or ()
    named = [function.__globals__.get(name) for name in function.__code__.co_names]
    named += [cell.cell_contents for cell in cells if _is_filled(cell)]
    for value in named:
        if isinstance(value, FunctionType) and not value.__module__.startswith("arvo."):
            yield value


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False

"""References: what the code of a workflow refers to, found without running it."""

from collections.abc import Iterator, Mapping
from functools import partial
from inspect import getattr_static
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, Final, cast

import attrs

from arvo.core.command import Command
from arvo.core.payloads.frozen_json import FrozenDict

# The word of a keyword argument (`Emit(..., domain="x")`) or of a mapping's key.
_DOMAIN: Final = "domain"
# Values that one function leads to; beyond that the search stops.
REFERENCES_MAX: Final = 500
# Another class of mapping may do anything when it is read.
_MAPPINGS: Final = (dict, FrozenDict, MappingProxyType)


def may_choose_domain(code: object) -> bool:
    """Return True if a function, or a chart's actions, may give a request a domain.

    The code is searched for a keyword argument or a key `domain`. The domain may be that of another
    event, so False is certain and True is not.
    """
    for number, value in enumerate(references(code)):
        if number == REFERENCES_MAX - 1:
            return True
        if isinstance(value, CodeType):
            if any(_is_domain(constant) for constant in value.co_consts):
                return True
        elif isinstance(value, Command):
            if getattr(value, _DOMAIN, ()):
                return True
        elif type(value) in _MAPPINGS and _DOMAIN in cast("Mapping[object, object]", value):
            return True
    return False


def references(code: object) -> Iterator[object]:
    """Iterate over the code of a function, or of a chart's actions, and over what it refers to.

    These are functions, their code, classes, commands and mappings, at most REFERENCES_MAX in all:
    those that it names in its module or in another one, those in its closure, and the methods of
    the objects that it names, but no function of this library.
    """
    seen: dict[int, object] = {}
    left: list[object] = [code]
    while left and len(seen) < REFERENCES_MAX:
        value = left.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        yield value
        left += _parts(value)


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
            yield from _members(value.__self__, _names(value.__func__.__code__))
        case partial():
            parts = (value.func, *value.args, *value.keywords.values())
            yield value.keywords
            yield from (part for part in parts if not _is_ours(part))
        case CodeType():
            yield from (constant for constant in value.co_consts if isinstance(constant, CodeType))
        case _ if type(value) in _MAPPINGS:
            yield from value.values()
        case tuple() | list():
            yield from value
        case type() | str() | int() | float() | None:
            pass
        case _ if attrs.has(type(value)):
            yield type(value)
            yield from (getattr(value, field.name) for field in attrs.fields(type(value)))
        case _:
            # A callable object keeps its code in its class.
            yield vars(type(value)).get("__call__")


def _referred(function: FunctionType) -> Iterator[object]:
    """Yield what a function names: functions, classes, and what holds them."""
    names = _names(function.__code__)
    cells = function.__closure__ or ()
    named = [function.__globals__[name] for name in names if name in function.__globals__]
    named += [cell.cell_contents for cell in cells if _is_filled(cell)]
    for value in named:
        if isinstance(value, ModuleType):
            yield from _members(value, names)
        elif isinstance(value, FunctionType | type | partial) or type(value) in _MAPPINGS:
            if not _is_ours(value) or isinstance(value, type):
                yield value
        else:
            yield from _members(value, names)


def _names(code: CodeType) -> set[str]:
    """Return the global and attribute names in a piece of code, and in the functions inside."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _members(owner: object, names: set[str]) -> Iterator[object]:
    """Yield the functions and classes that a module, or the class of an object, has by a name."""
    place = owner if isinstance(owner, ModuleType) else type(owner)
    for name in names:
        member = getattr_static(place, name, None)
        if isinstance(member, staticmethod | classmethod):
            member = member.__func__
        if isinstance(member, type) or (isinstance(member, FunctionType) and not _is_ours(member)):
            yield member


def _is_ours(value: object) -> bool:
    return str(getattr(value, "__module__", "")).startswith("arvo.")


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False

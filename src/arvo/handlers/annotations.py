"""Annotations: the payload classes of a function, as its annotations name them."""

import inspect
from collections.abc import Callable, Generator
from types import FunctionType, MethodType, NoneType, UnionType
from typing import Any, Union, cast, final, get_args, get_origin, get_type_hints

from attrs import frozen
from returns.result import Result

from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue, one_line, short_repr
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.handlers.composed import display_name
from arvo.handlers.generators import mistaken_calls


@final
@frozen
class Signature:
    """The payload class that a function takes, and those that it may return.

    *is_optional*: by its annotation it may return None.
    """

    accepts: type[Any]
    returns: tuple[type[Any], ...]
    is_optional: bool = False


def describe_function(function: Callable[..., Any]) -> str | None:
    """Return the first paragraph of a function's docstring on one line; None if it has none."""
    text = inspect.getdoc(function) or ""
    return " ".join(text.partition("\n\n")[0].split()) or None


def read_signature(decorator: str, function: Callable[..., Any]) -> Signature:
    """Read the annotations of a function with one parameter.

    What it returns is a class or a union of classes, by itself or in an `Effects[...]`, a
    `Flow[...]` or a `Result[...]`; None, and the failure of a `Result`, are left out. Raises
    `Violated`, which names the annotation that says something else; *decorator* is for its message.
    """
    check_argument("function", function, FunctionType | MethodType, "a function", of=decorator)
    name = getattr(function, "__qualname__", short_repr(function))
    issues: list[Issue] = []
    accepts: object = None
    returns: tuple[object, ...] = ()
    is_optional = False
    if is_async(function):
        issues.append(Issue(name, "a plain function, with I/O by `call`", "an async one"))
    else:
        hints = _hints(name, function, issues)
        parameter = _parameter(name, function, issues)
        if not issues:
            accepts = hints.get(parameter)
            returned = tuple(_classes(hints.get("return", inspect.Parameter.empty)))
            returns = tuple(it for it in returned if it is not NoneType)
            is_optional = len(returns) < len(returned)
            issues += _check(f"{name}({parameter})", (accepts,), "a payload class")
            issues += _check(f"{name} ->", returns, "payload classes, such as `Scored | Unknown`")
    if issues:
        raise Violated(ConfigViolation(f"{decorator} cannot read this function", tuple(issues)))
    classes = cast("tuple[type[Any], ...]", returns)
    return Signature(cast("type[Any]", accepts), classes, is_optional)


def is_async(function: object) -> bool:
    """Return whether a function, or what an object does when it is called, is `async def`."""
    # The method of its class, for an object that can be called.
    called = inspect.getattr_static(type(function), "__call__", None)
    return any(
        inspect.iscoroutinefunction(it) or inspect.isasyncgenfunction(it)
        for it in (function, called)
    )


def function_issues(name: str, function: object, argument: str) -> list[Issue]:
    """Return why *function* cannot be called with one *argument*, such as "the event".

    *name* is the place of the function, such as "handler.1.0.0".
    """
    if not callable(function):
        return [Issue(name, "a function", short_repr(function))]
    if is_async(function):
        expected = "a plain function, with I/O by `yield from call(...)`"
        return [Issue(name, expected, f"the async {display_name(function)}")]
    try:
        signature = inspect.signature(function)
    except ValueError:
        # Some callables that are written in C have none.
        return []
    try:
        signature.bind(None)
    except TypeError:
        got = one_line(f"{display_name(function)}{signature}")
        return [Issue(name, f"a function of one argument, {argument}", got)]
    found = dict.fromkeys(mistaken_calls(function))
    return [Issue(name, expected, got) for expected, got in found]


def returned_classes(function: Callable[..., Any]) -> tuple[type[Any], ...]:
    """Return the payload classes that a function returns by its annotation, none if it has none.

    An annotation that cannot be read, such as one with the name of a local class, is none.
    """
    try:
        hint = get_type_hints(function).get("return", inspect.Parameter.empty)
    except Exception:  # noqa: BLE001 - an annotation is any expression
        return ()
    return tuple(it for it in _classes(hint) if isinstance(it, type) and is_payload_class(it))


def _hints(name: str, function: Callable[..., Any], issues: list[Issue]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except Exception as error:  # noqa: BLE001 - an annotation is any expression
        expected = "annotations with names of the module: they are read when it is imported"
        issues.append(Issue(name, expected, one_line(f"{type(error).__name__}: {error}")))
        return {}


def _parameter(name: str, function: Callable[..., Any], issues: list[Issue]) -> str:
    """Return the name of the first parameter, the only one without a default."""
    given = inspect.signature(function).parameters.values()
    required = [it.name for it in given if it.default is it.empty and it.kind not in _COLLECTING]
    first = next(iter(given), None)
    if first is not None and required == [first.name] and first.kind in _POSITIONAL:
        return first.name
    got = f"({', '.join(it.name for it in given)})"
    issues.append(Issue(name, "one parameter: the payload of the request", got))
    return ""


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_COLLECTING = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _classes(annotation: Any) -> Generator[object, None, None]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Generator and len(arguments) == 3:
        yield from _classes(arguments[2])
    elif origin is Result:
        yield from _classes(arguments[0])
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from _classes(argument)
    else:
        yield annotation


def _check(path: str, found: tuple[object, ...], expected: str) -> list[Issue]:
    return [
        Issue(path, expected, "no annotation" if it in _MISSING else short_repr(it))
        for it in found
        if not (isinstance(it, type) or is_payload_class(it)) or it in _MISSING
    ]


_MISSING = (None, inspect.Parameter.empty)

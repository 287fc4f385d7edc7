"""Construct: makes instances of frozen attrs classes from values that are checked already."""

from collections.abc import Callable
from types import new_class
from typing import Any, TypeVar

import attrs

T = TypeVar("T", bound="attrs.AttrsInstance")


def constructor(cls: type[T]) -> Callable[..., T]:
    """Return a function that makes a *cls* of its fields, by position or name, as they are.

    It runs no validator, no converter and no `__attrs_post_init__`; required fields come first.
    *cls* needs slots and `weakref_slot=False`. Pass at most 15 arguments by name: Python packs more
    into a dict, which takes longer than the rest of the call.
    """
    fields = sorted(attrs.fields(cls), key=lambda field: field.default is not attrs.NOTHING)
    parameters = [
        field.name if field.default is attrs.NOTHING else f"{field.name}=default_{field.name}"
        for field in fields
    ]
    return _define(cls, parameters, {field.name: field.name for field in fields})


def evolver(cls: type[T], *changed: str) -> Callable[..., T]:
    """Return a function that copies a *cls* with other values for some fields, as they are.

    It takes the original, and then a value for each *changed* field, by position or name. Of
    the others, one that is no argument of the class gets its default. See `constructor`.
    """
    values = {
        field.name: f"original.{field.name}" if field.init else f"default_{field.name}"
        for field in attrs.fields(cls)
    }
    return _define(cls, ["original", *changed], values | {name: name for name in changed})


def quick_init(cls: type[T]) -> type[T]:
    """Give a frozen *cls* an `__init__` of the same signature that takes a third of the time.

    *cls* has no validators and no factories, and its keyword-only fields come last. A default is
    not converted. See `constructor`.
    """
    parameters: list[str] = ["self"]
    lines: list[str] = []
    names: dict[str, Any] = {"cls": cls, "twin": _twin(cls), "change": object.__setattr__}
    for field in attrs.fields(cls):
        name, default, converter = field.name, field.default, field.converter
        names |= {f"default_{name}": default, f"convert_{name}": converter}
        if field.kw_only and "*" not in parameters:
            parameters.append("*")
        parameters.append(name if default is attrs.NOTHING else f"{name}=default_{name}")
        value = name
        if converter is not None:
            value = f"{name} if {name} is default_{name} else convert_{name}({name})"
        lines.append(f"    self.{name} = {value}")
    code = [
        f"def __init__({', '.join(parameters)}):",
        '    change(self, "__class__", twin)',
        *lines,
        "    self.__class__ = cls",
    ]
    exec("\n".join(code), names)  # noqa: S102  # as attrs makes its methods; field names only
    init = names["__init__"]
    init.__annotations__ = cls.__init__.__annotations__
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = init  # type: ignore[method-assign]
    return cls


def _define(cls: type[T], parameters: list[str], values: dict[str, str]) -> Callable[..., T]:
    names: dict[str, Any] = {"cls": cls, "twin": _twin(cls), "new": object.__new__}
    names |= {f"default_{field.name}": field.default for field in attrs.fields(cls)}
    lines = [
        f"def construct({', '.join(parameters)}):",
        "    made = new(twin)",
        *(f"    made.{name} = {value}" for name, value in values.items()),
        "    made.__class__ = cls",
        "    return made",
    ]
    exec("\n".join(lines), names)  # noqa: S102  # as attrs makes its methods; field names only
    construct: Callable[..., T] = names["construct"]
    construct.__qualname__ = f"constructor({cls.__name__})"
    return construct


def _twin(cls: type[T]) -> type[Any]:
    # attrs writes each field of a frozen class by a call, past the `__setattr__` that refuses. The
    # fields of a class that is not frozen are written four times faster, and an object may change
    # to a class of the same layout.
    bases = getattr(cls, "__orig_bases__", cls.__bases__)
    slots = {"__slots__": cls.__slots__}  # type: ignore[attr-defined]
    return new_class(cls.__name__, bases, exec_body=lambda namespace: namespace.update(slots))

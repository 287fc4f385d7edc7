"""Classes: which classes are payloads, and the declarations of each kind."""

import dataclasses
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Final, final, get_args, get_origin

import attrs
from attrs import frozen
from typing_extensions import is_typeddict

CLASSES_MAX: Final = 1024
"""How many classes are cached: more than one process declares."""

_FACTORY: Final[Any] = attrs.Factory  # a class, which its stubs call a function


class PayloadError(TypeError):
    """An invalid payload class or schema, for its author to fix."""


class ClassKind(Enum):
    """How a class declares its fields, and the declaration that a payload needs."""

    ATTRS = "attrs.frozen"
    DATACLASS = "@dataclass(frozen=True)"
    NAMED_TUPLE = "NamedTuple"
    TYPED_DICT = "TypedDict"


CLASS_KINDS: Final = "attrs.frozen, @dataclass(frozen=True), NamedTuple or TypedDict"
"""The declarations that a payload class may have, for messages."""


@final
@frozen
class Declared:
    """A field as its class declares it.

    *argument*: its keyword in the constructor. *default*: as attrs has it, NOTHING, a value or a
    Factory; NOTHING also if the field has a converter, which may change the default.
    """

    name: str
    argument: str
    default: Any
    required: bool


def class_of(kind: Any) -> Any:
    """Return the class of the instances of *kind*: ``Box`` for ``Box[int]``."""
    return get_origin(kind) or kind


def runtime_class(kind: Any) -> Any:
    """Return the class of what the constructor makes: of a `TypedDict`, dict."""
    return dict if class_kind(kind) is ClassKind.TYPED_DICT else class_of(kind)


def is_instance(value: object, kinds: tuple[Any, ...]) -> bool:
    """Return whether *value* is of one of *kinds*, which `isinstance` may refuse to know."""
    try:
        return isinstance(value, kinds)
    except TypeError:
        return isinstance(value, tuple(map(runtime_class, kinds)))


def class_kind(kind: Any) -> ClassKind | None:
    """Return how a class or a generic one with its arguments declares fields, or None."""
    cls = class_of(kind)
    if not isinstance(cls, type):
        return None
    if attrs.has(cls):
        return ClassKind.ATTRS
    if dataclasses.is_dataclass(cls):
        return ClassKind.DATACLASS
    if is_typeddict(cls):
        return ClassKind.TYPED_DICT
    if issubclass(cls, tuple) and hasattr(cls, "_field_defaults"):
        return ClassKind.NAMED_TUPLE
    return None


def type_name(kind: Any) -> str:
    """Return the short name of a type, for messages; of a generic class with its types.

    >>> type_name(int), type_name(dict[str, int])
    ('int', 'dict[str, int]')
    """
    arguments = get_args(kind)
    if isinstance(kind, type) and not arguments:
        return kind.__name__
    if class_kind(kind) is None:
        return str(kind).replace("typing.", "")
    return f"{class_of(kind).__name__}[{', '.join(map(type_name, arguments))}]"


def return_code(cls: Any, arguments: str) -> str:
    """Return the code that returns an instance, for functions that know the `return_names`."""
    if (type(cls), cls.__new__) == (type, object.__new__):
        # As the call of the class does, without the tuple and the dict that it makes.
        return f"made = new(cls); init(made, {arguments}); return made"
    return f"return cls({arguments})"


def return_names(cls: Any) -> dict[str, Any]:
    """Return the names that the `return_code` of *cls* has."""
    return {"cls": cls, "new": cls.__new__, "init": cls.__init__}


def is_immutable(kind: Any) -> bool:
    """Return whether instances cannot change. Of a `TypedDict`, a reader makes immutable ones."""
    cls = class_of(kind)
    match class_kind(kind):
        case ClassKind.ATTRS:
            return attrs.inspect(cls).is_frozen
        case ClassKind.DATACLASS:
            return bool(cls.__dataclass_params__.frozen)
        case _:
            return True


def declared_fields(kind: Any) -> Iterator[Declared]:
    """Yield the fields that the constructor takes, in their order."""
    cls, how = class_of(kind), class_kind(kind)
    if how is not None:
        yield from _DECLARED[how](cls)


def _of_attrs(cls: Any) -> Iterator[Declared]:
    for attribute in attrs.fields(cls):
        if attribute.init:
            yield Declared(
                attribute.name,
                attribute.alias or attribute.name.lstrip("_"),
                attrs.NOTHING if attribute.converter else attribute.default,
                attribute.default is attrs.NOTHING,
            )


def _of_dataclass(cls: Any) -> Iterator[Declared]:
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        default: Any = attrs.NOTHING
        if field.default is not dataclasses.MISSING:
            default = field.default
        elif field.default_factory is not dataclasses.MISSING:
            default = _FACTORY(field.default_factory)
        yield Declared(field.name, field.name, default, default is attrs.NOTHING)


def _of_named_tuple(cls: Any) -> Iterator[Declared]:
    for name in cls._fields:
        default = cls._field_defaults.get(name, attrs.NOTHING)
        yield Declared(name, name, default, default is attrs.NOTHING)


def _of_typed_dict(cls: Any) -> Iterator[Declared]:
    for name in cls.__annotations__:
        yield Declared(name, name, attrs.NOTHING, name in cls.__required_keys__)


_DECLARED: Final[dict[ClassKind, Callable[[Any], Iterator[Declared]]]] = {
    ClassKind.ATTRS: _of_attrs,
    ClassKind.DATACLASS: _of_dataclass,
    ClassKind.NAMED_TUPLE: _of_named_tuple,
    ClassKind.TYPED_DICT: _of_typed_dict,
}

"""Fields: the fields of a payload class and their names on the wire."""

from enum import Enum
from functools import lru_cache
from typing import Any, Literal, NewType, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

CLASSES_MAX = 1024
"""How many classes are cached: more than one process declares."""


class PayloadError(TypeError):
    """An invalid payload class or schema, for its author to fix."""


@frozen
class Field:
    """One field of a payload class.

    *wire* is its key in JSON: the name of the constructor's argument, which is attrs' ``alias``.
    ``order_id: str = field(alias="orderId")`` is ``orderId`` both in the call and on the wire, and
    a private ``_x`` is ``x`` in both.
    """

    name: str
    wire: str
    type: Any
    default: Any
    """As attrs has it: NOTHING, a value or a Factory. NOTHING also if the field has a converter."""
    required: bool


@lru_cache(maxsize=CLASSES_MAX)
def fields_of(cls: Any) -> tuple[Field, ...]:
    """Return the fields that the constructor of *cls* takes. Raises PayloadError."""
    name = type_name(cls)
    if not (isinstance(cls, type) and attrs.has(cls)):
        raise PayloadError(f"{name}: not an attrs class: declare it with attrs.frozen")
    if not _is_immutable(cls):
        raise PayloadError(
            f"{name}: a payload must be immutable, but this class is not: "
            "declare it with attrs.frozen"
        )
    # localns: a class inside a function may refer to itself, but its module does not have it.
    names = {cls.__name__: cls}
    try:
        hints = get_type_hints(cls, localns=names, include_extras=True)
        attrs.resolve_types(cls, localns=names, include_extras=True)  # cattrs reads them there
    except Exception as error:
        raise PayloadError(
            f"{name}: an annotation cannot be resolved ({error}): define or import what it names "
            "at the top of the module, not under TYPE_CHECKING or in a function"
        ) from error
    return tuple(_field(cls, attribute, hints) for attribute in attrs.fields(cls) if attribute.init)


def _field(cls: type, attribute: "attrs.Attribute[Any]", hints: dict[str, Any]) -> Field:
    kind = hints.get(attribute.name, attribute.type)
    if kind is None:
        raise PayloadError(f"{type_name(cls)}.{attribute.name}: has no type: annotate it")
    wire = attribute.alias or attribute.name.lstrip("_")
    # The converter may change the default, so the schema must not contain it.
    default = attrs.NOTHING if attribute.converter else attribute.default
    return Field(attribute.name, wire, kind, default, attribute.default is attrs.NOTHING)


def _is_immutable(cls: type) -> bool:
    return attrs.inspect(cls).is_frozen


def type_name(kind: Any) -> str:
    """Return the short name of a type, for messages."""
    return (
        kind.__name__
        if isinstance(kind, type) and not get_args(kind)
        else str(kind).replace("typing.", "")
    )


def strip_annotations(kind: Any) -> tuple[Any, tuple[object, ...]]:
    """Unwrap Annotated, NewType and type aliases; returns the type inside and its annotations.

    >>> from typing import Annotated
    >>> strip_annotations(Annotated[str, "short"])
    (<class 'str'>, ('short',))
    """
    markers: tuple[object, ...] = ()
    while True:
        if hasattr(kind, "__metadata__"):
            kind, markers = kind.__origin__, (*kind.__metadata__, *markers)
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        elif hasattr(kind, "__value__") and not isinstance(kind, type | Enum):
            kind = kind.__value__
        else:
            return kind, markers


def literal_values(kind: Any) -> tuple[Any, ...]:
    """Return the values of a Literal; none for any other type."""
    kind, _ = strip_annotations(kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


def wire_value(value: Any) -> Any:
    """Return the JSON value of a Literal's or Enum's *value*."""
    return value.value if isinstance(value, Enum) else value


def discriminator(classes: tuple[type, ...]) -> tuple[str, dict[str | int, type]] | None:
    """Find the discriminator of *classes*: a field with a Literal of different values in each.

    Returns its key on the wire and the class of each value, or None if there is no such field.
    """
    for first in fields_of(classes[0]):
        class_by_value: dict[str | int, type] = {}
        for cls in classes:
            values = next(
                (
                    literal_values(field.type)
                    for field in fields_of(cls)
                    if field.wire == first.wire
                ),
                (),
            )
            for value in map(wire_value, values):
                if type(value) not in (str, int) or value in class_by_value:
                    break
                class_by_value[value] = cls
            else:
                if values:
                    continue
            break
        else:
            return first.wire, class_by_value
    return None


def choice_members(kind: Any) -> tuple[Any, ...]:
    """Return the values of a Literal or the members of an Enum."""
    return get_args(kind) if get_origin(kind) is Literal else tuple(kind)

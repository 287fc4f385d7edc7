"""Fields: what stands on the wire for a payload class, and under which name."""

from enum import Enum
from functools import lru_cache
from typing import Any, Literal, NewType, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

CLASSES_MAX = 1024
"""How many classes are remembered: more than one process declares."""


class PayloadError(TypeError):
    """A payload that cannot be declared as it stands. The author of the class must act."""


@frozen
class Field:
    """One field of a payload class.

    *wire* is its key in JSON: the name its constructor takes, which is attrs' ``alias``. So
    ``order_id: str = field(alias="orderId")`` is ``orderId`` both in the call and on the wire, and
    a private ``_x`` is ``x`` in both.
    """

    name: str
    wire: str
    type: Any
    default: Any
    """What attrs has: NOTHING, a value or a Factory. NOTHING too if a converter comes between."""
    required: bool


@lru_cache(maxsize=CLASSES_MAX)
def fields_of(cls: Any) -> tuple[Field, ...]:
    """List the fields of *cls* that its constructor takes. Raises PayloadError."""
    name = title(cls)
    if not (isinstance(cls, type) and attrs.has(cls)):
        raise PayloadError(
            f"{name}: expected an attrs class, got {cls!r}: declare it with attrs.frozen"
        )
    if not _immutable(cls):
        raise PayloadError(
            f"{name}: a payload never changes, and this class can: declare it with attrs.frozen"
        )
    # localns: a class inside a function may name itself, which its module does not know.
    names = {cls.__name__: cls}
    try:
        hints = get_type_hints(cls, localns=names, include_extras=True)
        attrs.resolve_types(cls, localns=names, include_extras=True)  # cattrs reads them there
    except Exception as error:
        raise PayloadError(
            f"{name}: an annotation cannot be resolved ({error}): define or import what it names "
            "at the top of the module, not under TYPE_CHECKING or in a function"
        ) from error
    return tuple(_field(cls, each, hints) for each in attrs.fields(cls) if each.init)


def _field(cls: type, attribute: "attrs.Attribute[Any]", hints: dict[str, Any]) -> Field:
    kind = hints.get(attribute.name, attribute.type)
    if kind is None:
        raise PayloadError(f"{title(cls)}.{attribute.name}: has no type: annotate it")
    wire = attribute.alias or attribute.name.lstrip("_")
    # A converter may make anything of a default, so nothing is said of it.
    default = attrs.NOTHING if attribute.converter else attribute.default
    return Field(attribute.name, wire, kind, default, attribute.default is attrs.NOTHING)


def _immutable(cls: type) -> bool:
    return attrs.inspect(cls).is_frozen


def title(kind: Any) -> str:
    """Name a type in a message, briefly."""
    return (
        kind.__name__
        if isinstance(kind, type) and not get_args(kind)
        else str(kind).replace("typing.", "")
    )


def bare(kind: Any) -> tuple[Any, tuple[object, ...]]:
    """Take Annotated, NewType and type aliases off *kind*: what is below, and the markers met.

    >>> from typing import Annotated
    >>> bare(Annotated[str, "short"])
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


def literals(kind: Any) -> tuple[Any, ...]:
    """Give the values of a Literal as Python has them; nothing for any other type."""
    kind, _ = bare(kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


def wire_value(value: Any) -> Any:
    """Give the JSON value of a Literal's or Enum's *value*."""
    return value.value if isinstance(value, Enum) else value


def tag_of(classes: tuple[type, ...]) -> tuple[str, dict[str | int, type]] | None:
    """Find the field that tells *classes* apart: a Literal in each, no value in two.

    Gives its key on the wire and which value means which class; None if there is no such field.
    """
    for first in fields_of(classes[0]):
        meanings: dict[str | int, type] = {}
        for cls in classes:
            values = next(
                (literals(each.type) for each in fields_of(cls) if each.wire == first.wire), ()
            )
            for value in map(wire_value, values):
                if type(value) not in (str, int) or value in meanings:
                    break
                meanings[value] = cls
            else:
                if values:
                    continue
            break
        else:
            return first.wire, meanings
    return None


def members(kind: Any) -> tuple[Any, ...]:
    """List the values of a Literal or the members of an Enum."""
    return get_args(kind) if get_origin(kind) is Literal else tuple(kind)

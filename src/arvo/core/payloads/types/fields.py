"""Fields: the fields of a payload class and their names on the wire."""

from collections import Counter
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Literal, NewType, NotRequired, Required, get_args, get_origin

from typing_extensions import ReadOnly

from arvo.core.payloads.types.adapters import adapter_of, remedy_for
from arvo.core.payloads.types.classes import (
    CLASS_KINDS,
    CLASSES_MAX,
    Declared,
    PayloadError,
    class_kind,
    class_of,
    declared_fields,
    is_immutable,
    type_name,
)
from arvo.core.payloads.types.field import Alias, Field
from arvo.core.payloads.types.hints import hints_of


@lru_cache(maxsize=CLASSES_MAX)
def fields_of(kind: Any) -> tuple[Field, ...]:
    """Return the fields that the constructor of a payload class takes. Raises PayloadError."""
    adapter = adapter_of(kind)
    if adapter is not None:
        return adapter.fields(kind)
    name, how = type_name(kind), class_kind(kind)
    if how is None:
        remedy = remedy_for(kind) or f"declare it with {CLASS_KINDS}"
        raise PayloadError(f"{name}: not a payload class: {remedy}")
    hints = hints_of(kind)
    fields = tuple(_field(name, declared, hints) for declared in declared_fields(kind))
    keys = Counter(it.wire for it in fields)
    for it in fields:
        if keys[it.wire] > 1:
            raise PayloadError(f"{name}.{it.name}: another field has the key {it.wire!r}: use one")
    _require_complete(name, kind)
    return fields


def require_immutable(kind: Any) -> None:
    """Raise PayloadError for a class whose instances can change."""
    how = class_kind(kind)
    if how is not None and not is_immutable(kind):
        raise PayloadError(
            f"{type_name(kind)}: a payload must be immutable, but this class is not: "
            f"declare it with {how.value}"
        )


def _field(owner: str, declared: Declared, hints: Mapping[str, Any]) -> Field:
    kind = hints.get(declared.name)
    if kind is None:
        raise PayloadError(f"{owner}.{declared.name}: has no type: annotate it")
    kind, required = _unqualify(kind, declared.required)
    keys = [marker.key for marker in strip_annotations(kind)[1] if isinstance(marker, Alias)]
    wire = keys[-1] if keys else declared.argument
    return Field(declared.name, declared.argument, wire, kind, declared.default, required)


def _unqualify(kind: Any, required: bool) -> tuple[Any, bool]:
    """Take off the qualifiers of a TypedDict; they may stand below constraints."""
    qualifier = get_origin(kind)
    if qualifier in (Required, NotRequired, ReadOnly):
        is_required = required if qualifier is ReadOnly else qualifier is Required
        return _unqualify(get_args(kind)[0], is_required)
    if hasattr(kind, "__metadata__"):
        inner, required = _unqualify(kind.__origin__, required)
        return Annotated[(inner, *kind.__metadata__)], required
    return kind, required


def _require_complete(name: str, kind: Any) -> None:
    """Refuse a dataclass whose constructor takes more than fields."""
    for it in getattr(class_of(kind), "__dataclass_fields__", {}).values():
        if it._field_type.name == "_FIELD_INITVAR":  # noqa: SLF001  # nothing public says it
            raise PayloadError(f"{name}.{it.name}: an InitVar is in no instance: make it a field")


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


def discriminator(classes: tuple[Any, ...]) -> tuple[str, dict[str | int, Any]] | None:
    """Find the discriminator of *classes*: a field with a Literal of different values in each.

    Returns its key on the wire and the class of each value, or None if there is no such field.
    """
    for first in fields_of(classes[0]):
        class_by_value: dict[str | int, Any] = {}
        for cls in classes:
            for value in tag_values(cls, first.wire):
                if type(value) not in (str, int) or value in class_by_value:
                    break
                class_by_value[value] = cls
            else:
                if tag_values(cls, first.wire):
                    continue
            break
        else:
            return first.wire, class_by_value
    return None


def field_of(kind: Any, wire: str) -> Field | None:
    """Return the field with the key *wire*, or None."""
    return next((it for it in fields_of(kind) if it.wire == wire), None)


def alias_keys(kind: Any) -> frozenset[str]:
    """Return the keys in JSON that are no names of fields in the class."""
    fields = fields_of(kind)
    return frozenset({it.wire for it in fields} - {it.name for it in fields})


def tag_values(kind: Any, wire: str) -> tuple[Any, ...]:
    """Return the values, as in JSON, that the Literal of the field *wire* allows; else none."""
    found = field_of(kind, wire)
    return () if found is None else tuple(map(wire_value, literal_values(found.type)))


def is_choice(kind: Any) -> bool:
    """Return whether *kind* is a Literal or an Enum."""
    return get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum))


def choice_members(kind: Any) -> tuple[Any, ...]:
    """Return the values of a Literal or the members of an Enum."""
    return get_args(kind) if get_origin(kind) is Literal else tuple(kind)

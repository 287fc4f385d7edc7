"""Type schema: the JSON Schema of a Python type."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import Enum, Flag
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin

from annotated_types import DocInfo
from attrs import evolve, frozen

from arvo.core.payloads.types.adapters import is_payload_class, remedy_for
from arvo.core.payloads.types.classes import CLASS_KINDS, PayloadError, type_name
from arvo.core.payloads.types.constraint import NotExpressible, schema_keywords
from arvo.core.payloads.types.field import Alias
from arvo.core.payloads.types.fields import discriminator, strip_annotations, wire_value
from arvo.core.payloads.types.scalars import SCALARS

TYPE_DEPTH_MAX = 32
"""How deep one annotation may nest. A deeper one is a mistake or a type alias without end."""

_NUMBER = frozenset({"number"})
ARRAY_TYPES = frozenset({list, tuple, set, frozenset, Sequence})
OBJECT_TYPES = frozenset({dict, Mapping})

_PRIMITIVES = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}


@frozen
class TypeSchema:
    """The JSON Schema of a type, its JSON types, and whether its string encodes a scalar."""

    schema: dict[str, Any]
    kinds: frozenset[str]
    is_scalar: bool = False


Ref: TypeAlias = Callable[[Any], dict[str, Any]]


def schema_of_type(kind: Any, where: str, ref: Ref, depth: int = 0) -> TypeSchema:
    """Return the schema of *kind*; *ref* returns the reference to a payload class.

    *where* names the class and field in errors. Raises PayloadError for an unsupported type.
    """
    if depth > TYPE_DEPTH_MAX:
        raise PayloadError(
            f"{where}: its type nests deeper than {TYPE_DEPTH_MAX}: make a part of it a class"
        )
    kind, markers = strip_annotations(kind)
    inner = partial(schema_of_type, where=where, ref=ref, depth=depth + 1)
    schema = _schema(kind, where, ref, inner)
    for marker in markers:
        if not isinstance(marker, Alias):
            schema = _constrain(schema, marker, where)
        elif depth:
            raise PayloadError(
                f"{where}: {marker!r} is the key of a field: annotate its whole type"
            )
    return schema


def _schema(kind: Any, where: str, ref: Ref, inner: Callable[[Any], TypeSchema]) -> TypeSchema:
    base = origin_or_self(kind)
    if kind is Any:
        return TypeSchema({}, frozenset({"any"}))
    if not isinstance(kind, Hashable) or not isinstance(base, Hashable):
        raise PayloadError(f"{where}: {kind!r} is not a type")
    if kind in _PRIMITIVES:
        return TypeSchema({"type": _PRIMITIVES[kind]}, frozenset({_PRIMITIVES[kind]}))
    if kind in SCALARS:
        return TypeSchema(dict(SCALARS[kind].schema), frozenset({"string"}), is_scalar=True)
    if base in (Union, UnionType):
        return _union(kind, where, inner)
    if base is Literal:
        return _choice(get_args(kind), kind, where)
    if base in ARRAY_TYPES:
        return _array(base, get_args(kind), inner)
    if base in OBJECT_TYPES:
        return _mapping(get_args(kind), where, inner)
    if isinstance(kind, type) and issubclass(kind, Enum) and not issubclass(kind, Flag):
        return _choice(tuple(kind), kind, where)
    if is_payload_class(kind):
        return TypeSchema(ref(kind), frozenset({"object"}))
    raise PayloadError(f"{where}: {_unsupported(kind)}")


def origin_or_self(kind: Any) -> Any:
    """Return ``list`` for ``list[int]``, and any other type as it is."""
    return get_origin(kind) or kind


def _union(kind: Any, where: str, inner: Callable[[Any], TypeSchema]) -> TypeSchema:
    members = union_members(kind)
    # The order of a union has no meaning in Python, and Python's own caches change it.
    parts = [inner(member) for member in members]
    if any("integer" in part.kinds for part in parts):
        parts.sort(key=lambda part: part.kinds == _NUMBER)
    kinds = [kind_ for part in parts for kind_ in part.kinds]
    classes = classes_in(members)
    clashes = {
        kind_
        for kind_ in kinds
        if kinds.count(kind_) > (max(1, len(classes)) if kind_ == "object" else 1)
    }
    if clashes or "any" in kinds:
        reason = (
            f"two of its types are {_PLURALS[min(clashes)]} in JSON" if clashes else "one is Any"
        )
        raise PayloadError(
            f"{where}: {type_name(kind)}: {reason}, so a reader cannot distinguish them: choose one"
        )
    schemas = [part.schema for part in parts]
    if len(classes) > 1:
        tag = discriminator(classes)
        if tag is None:
            names = " | ".join(map(type_name, classes))
            raise PayloadError(
                f"{where}: {names}: a reader cannot distinguish these classes: give each a field "
                'of one name and a Literal of its own, such as kind: Literal["card"] = "card"'
            )
        # Required although it has a default in Python: without it every class would fit.
        schemas = [s | {"required": [tag[0]]} if "$ref" in s else s for s in schemas]
    return TypeSchema({"anyOf": schemas}, frozenset(kinds), any(part.is_scalar for part in parts))


def union_members(kind: Any) -> tuple[Any, ...]:
    """Return the member types of a union, with those of the unions inside it."""
    members: tuple[Any, ...] = ()
    for member in get_args(kind):
        inner, markers = strip_annotations(member)
        is_union = get_origin(inner) in (Union, UnionType) and not markers
        members += union_members(inner) if is_union else (member,)
    return members


def classes_in(members: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the payload classes among the *members* of a union."""
    inner = (strip_annotations(member)[0] for member in members)
    return tuple(filter(is_payload_class, inner))


def _choice(values: tuple[Any, ...], kind: Any, where: str) -> TypeSchema:
    options = [wire_value(value) for value in values]
    kinds = {_PRIMITIVES.get(type(option), "") for option in options}
    if not kinds <= {"string", "integer", "boolean", "null"} or not options:
        raise PayloadError(
            f"{where}: {type_name(kind)}: its values must be str, int, bool or None: use only these"
        )
    schema: dict[str, Any] = {"const": options[0]} if len(options) == 1 else {"enum": options}
    if len(kinds) == 1:
        schema = {"type": min(kinds)} | schema
    return TypeSchema(schema, frozenset(kinds))


def _array(base: Any, items: tuple[Any, ...], inner: Callable[[Any], TypeSchema]) -> TypeSchema:
    schema: dict[str, Any] = {"type": "array"}
    if base is tuple and items and items[-1] is not ...:
        parts = [inner(item).schema for item in items if item != ()]
        schema |= {"prefixItems": parts, "items": False, "minItems": len(parts)}
        schema = schema if parts else {"type": "array", "maxItems": 0}
    elif items:
        schema["items"] = inner(items[0]).schema
    if base in (set, frozenset):
        schema["uniqueItems"] = True
    return TypeSchema(schema, frozenset({"array"}))


def _mapping(items: tuple[Any, ...], where: str, inner: Callable[[Any], TypeSchema]) -> TypeSchema:
    key, value = items or (str, Any)
    keys = inner(key)
    if keys.kinds != {"string"}:
        raise PayloadError(
            f"{where}: its keys are {type_name(key)}, but JSON keys are strings: use str"
        )
    schema: dict[str, Any] = {"type": "object", "additionalProperties": inner(value).schema}
    if keys.schema != {"type": "string"}:
        schema["propertyNames"] = keys.schema
    return TypeSchema(schema, frozenset({"object"}))


def _constrain(base: TypeSchema, marker: object, where: str) -> TypeSchema:
    if isinstance(marker, DocInfo):
        return evolve(base, schema=base.schema | {"description": marker.documentation})
    schema = dict(base.schema)
    try:
        # A scalar (a Decimal, a date) is not a string to its author: length limits do not apply.
        for keyword, value in schema_keywords(
            marker, base.kinds - {"string"} if base.is_scalar else base.kinds
        ):
            if keyword in schema:
                schema["allOf"] = [*schema.get("allOf", []), {keyword: value}]
            else:
                schema[keyword] = value
    except NotExpressible as error:
        raise PayloadError(f"{where}: {error}") from None
    return evolve(base, schema=schema)


def _unsupported(kind: Any) -> str:
    if isinstance(kind, TypeVar):
        return f"{kind} is a type variable: give the class its types, such as Page[int]"
    remedy = remedy_for(kind)
    if remedy is not None:
        return f"{type_name(kind)} has no form in JSON: {remedy}"
    known = "str, int, float, bool, None, Any, " + ", ".join(kind.__name__ for kind in SCALARS)
    return (
        f"{type_name(kind)} has no form in JSON: use {known}, an Enum, a Literal, "
        "list, tuple, set, frozenset, Sequence, dict or Mapping of these, or a class declared with "
        + CLASS_KINDS
    )


_PLURALS = {
    "string": "strings",
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "booleans",
    "array": "arrays",
    "object": "objects",
    "null": "null",
}

"""Schema: the JSON Schema (draft 2020-12) of a payload class, or of a union of them."""

import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from itertools import permutations
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import attrs
import orjson
from attrs import frozen
from jsonschema_rs import ValidationError

from arvo.core.payloads.converter import converter
from arvo.core.payloads.json_data import InvalidValue, is_json
from arvo.core.payloads.types.adapters import adapter_of, is_payload_class
from arvo.core.payloads.types.classes import PayloadError, class_of, type_name
from arvo.core.payloads.types.field import Field
from arvo.core.payloads.types.fields import (
    discriminator,
    fields_of,
    require_immutable,
    strip_annotations,
)
from arvo.core.payloads.types.type_schema import schema_of_type, union_members
from arvo.core.payloads.validation import compile_validator, explain, moved
from arvo.core.violations.issue import short_repr

Tag = tuple[str, Mapping[str | int, type]]

_ALL_KINDS: Final = frozenset({"string", "integer", "number", "boolean", "array", "object", "null"})

_FACTORY: Any = attrs.Factory  # a class, which its stubs call a function
_EMPTY: dict[Any, Any] = {list: [], tuple: [], set: [], frozenset: [], dict: {}}


@frozen
class ClassSchema:
    """The JSON Schema of a payload class, and the one to check data with.

    They differ where a class of another library is inside: the library checks that part.
    """

    exported: dict[str, Any]
    checked: dict[str, Any]


def class_schema(cls: Any) -> ClassSchema:
    """Export the JSON Schema of the class *cls*, with its constraints and nested classes.

    Objects are open: they may have keys that the class does not have. Nested classes are in
    ``$defs`` under their names, with a number where two share a name. Raises PayloadError for a
    type that JSON Schema cannot express.
    """
    adapter = adapter_of(cls)
    if adapter is not None:
        return ClassSchema(adapter.schema(cls), {"type": "object"})
    defs = _Defs()
    schema = {"title": type_name(cls)} | _object(cls, defs)
    _require_finite(cls, (), set())
    checked_defs = defs.schemas | {name: {"type": "object"} for name in defs.foreign}
    for where, field_schema in defs.defaults:
        _require_valid_default(where, field_schema, checked_defs)
    if defs.schemas:
        schema["$defs"] = defs.schemas
    return ClassSchema(schema, schema | {"$defs": checked_defs} if defs.foreign else schema)


class _Defs:
    """The nested classes that one call of `class_schema` has found so far."""

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}
        self.schemas: dict[str, dict[str, Any]] = {}
        self.foreign: list[str] = []
        self.defaults: list[tuple[str, dict[str, Any]]] = []

    def ref(self, cls: Any) -> dict[str, Any]:
        """Return a reference to *cls*; the first call also adds its schema."""
        if cls not in self.names:
            base, count = "_".join(_WORD.findall(type_name(cls))), 1
            name = base
            while name in self.schemas:
                count += 1
                name = f"{base}_{count}"
            self.names[cls] = name
            self.schemas[name] = {}  # reserves the name: the class may contain itself
            adapter = adapter_of(cls)
            if adapter is None:
                self.schemas[name] = _object(cls, self)
            else:
                self.foreign.append(name)
                self.schemas[name] = moved(adapter.schema(cls), f"#/$defs/{name}")
        return {"$ref": f"#/$defs/{self.names[cls]}"}


# A reference is a URI: the brackets of a generic class have no place in it.
_WORD = re.compile(r"\w+")


def _object(cls: Any, defs: _Defs) -> dict[str, Any]:
    require_immutable(cls)
    fields = fields_of(cls)
    schema: dict[str, Any] = {"type": "object"}
    doc = class_of(cls).__dict__.get("__doc__")
    if doc and not _is_generated(cls, doc):
        schema["description"] = cleandoc(doc)
    schema["properties"] = {field.wire: _property(cls, field, defs) for field in fields}
    required = [field.wire for field in fields if field.required]
    return schema | ({"required": required} if required else {})


def _is_generated(cls: Any, doc: str) -> bool:
    """Return whether Python wrote the docstring of a class: its signature."""
    return doc.startswith(f"{class_of(cls).__name__}(") and doc.endswith(")")


def _property(cls: Any, field: Field, defs: _Defs) -> dict[str, Any]:
    where = f"{type_name(cls)}.{field.name}"
    schema = schema_of_type(field.type, where, defs.ref).schema
    default = _default(field, where)
    if default is attrs.NOTHING:
        return schema
    schema = schema | {"default": default}
    defs.defaults.append((where, schema))
    return schema


def _default(field: Field, where: str) -> Any:
    if isinstance(field.default, _FACTORY):
        # Other factories are not called: a clock, for example, returns another value each time.
        return _EMPTY.get(field.default.factory, attrs.NOTHING)
    if field.default is attrs.NOTHING:
        return attrs.NOTHING
    encoded = converter().get_unstructure_hook(field.type)(field.default)
    if isinstance(encoded, InvalidValue):
        raise PayloadError(_describe_misfit(where, encoded.value, encoded.expected))
    return encoded if is_json(encoded) else attrs.NOTHING


def _require_valid_default(where: str, schema: dict[str, Any], defs: dict[str, Any]) -> None:
    """Refuse a default that is invalid for its own field: every event with it would fail."""
    try:
        compile_validator(schema | {"$defs": defs}).validate(schema["default"])
    except ValidationError as error:
        issues = explain([error], where.rpartition(".")[2])
        raise PayloadError(
            _describe_misfit(where, schema["default"], issues.items[0].expected)
        ) from None


def _describe_misfit(where: str, default: object, expected: str) -> str:
    return f"{where}: its default {short_repr(default)} does not fit: expected {expected}"


def _require_finite(cls: Any, outer: tuple[Any, ...], done: set[Any]) -> None:
    """Refuse a class that requires an instance of itself."""
    if cls in outer:
        cycle = " → ".join(map(type_name, (*outer[outer.index(cls) :], cls)))
        raise PayloadError(
            f"{cycle}: each requires the next, without end: make one of the fields optional"
        )
    if cls in done:
        return
    for field in fields_of(cls):
        for inner in _required_classes(field.type) if field.required else ():
            _require_finite(inner, (*outer, cls), done)
    done.add(cls)


def _required_classes(kind: Any) -> tuple[Any, ...]:
    kind, _ = strip_annotations(kind)
    if adapter_of(kind) is None and is_payload_class(kind):
        return (kind,)
    if get_origin(kind) is tuple and get_args(kind)[-1:] != (...,):
        return tuple(inner for item in get_args(kind) for inner in _required_classes(item))
    return ()


def classes_of_union(kind: object) -> tuple[Any, ...] | None:
    """Return the classes of `A | B` or `(A, B)`, or None for anything else.

    Raises PayloadError for a member that is no class, or that occurs twice.
    """
    if get_origin(kind) in (Union, UnionType):
        members: tuple[Any, ...] = union_members(kind)
    elif isinstance(kind, tuple):
        members = kind
    else:
        return None
    for position, member in enumerate(members):
        is_class = isinstance(member, type) or is_payload_class(member)
        if not is_class or member is type(None):
            raise PayloadError(f"{short_repr(member)}: a union of payloads has only classes")
        if member in members[:position]:
            raise PayloadError(f"{type_name(member)}: a union of payloads names each class once")
    if not members:
        raise PayloadError("(): a union of payloads has at least one class")
    return members


def union_schema(classes: tuple[Any, ...]) -> tuple[dict[str, Any], Tag | None]:
    """Return the schema of a union of payload classes, and its discriminator if it has one.

    Without a discriminator, a reader finds the class by its keys. Raises PayloadError where data
    of one class could fit another.
    """
    defs = _Defs()
    for cls in classes:
        class_schema(cls)  # it refuses a class that JSON Schema cannot express
    refs = [defs.ref(cls) for cls in classes]
    schemas = [defs.schemas[defs.names[cls]] for cls in classes]
    tag = discriminator(classes)
    if tag is None:
        _check_shapes(classes, schemas)
    else:
        # Required although it has a default in Python: without it every class would fit.
        refs = [ref | {"required": [tag[0]]} for ref in refs]
    for schema in schemas:
        for key, field_schema in schema["properties"].items():
            # A reader that has the schema alone applies defaults before it knows the class, so it
            # would add the tag or the keys of another class.
            if tag is None or key == tag[0]:
                field_schema.pop("default", None)
    name = " | ".join(map(type_name, classes))
    return {"title": name, "type": "object", "anyOf": refs, "$defs": defs.schemas}, tag


def _check_shapes(classes: tuple[Any, ...], schemas: list[dict[str, Any]]) -> None:
    for (one, one_schema), (other, other_schema) in permutations(
        zip(classes, schemas, strict=True), 2
    ):
        if not any(_separating_keys(one_schema, other_schema)):
            raise PayloadError(
                f"{type_name(one)} | {type_name(other)}: data of a {type_name(one)} also fits "
                f"{type_name(other)}, so a reader cannot distinguish them: give each a field of "
                'one name and a Literal of its own, such as kind: Literal["approved"] = "approved"'
            )


def _separating_keys(one: dict[str, Any], other: dict[str, Any]) -> Iterator[bool]:
    """Yield True for each key by which no data of *one* fits *other*.

    Objects are open and a sender may leave out keys that are not required, so an optional key that
    only one of them has separates nothing.
    """
    required = set(other.get("required", ()))
    for key, schema in other["properties"].items():
        if key not in one["properties"]:
            yield key in required
        elif key in required or key in one.get("required", ()):
            yield _are_disjoint(one["properties"][key], schema)


def _are_disjoint(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return True if no value fits both schemas, as far as their types and constants say."""
    values, others = _values(one), _values(other)
    if values is not None and others is not None:
        return values.isdisjoint(others)
    return _kinds(one).isdisjoint(_kinds(other))


def _values(schema: dict[str, Any]) -> set[bytes] | None:
    """Return the values that a schema allows, as JSON, or None where it does not list them."""
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if options is None else {orjson.dumps(option) for option in options}


def _kinds(schema: dict[str, Any]) -> frozenset[str]:
    if "$ref" in schema:
        return frozenset({"object"})
    if "anyOf" in schema:
        return frozenset().union(*map(_kinds, schema["anyOf"]))
    names = schema.get("type", ())
    kinds = frozenset({names} if isinstance(names, str) else names) or _ALL_KINDS
    # Of integers and numbers, too: 1 is both.
    return kinds | {"integer", "number"} if kinds & {"integer", "number"} else kinds

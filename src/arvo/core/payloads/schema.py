"""Schema: the JSON Schema (draft 2020-12) of a payload class."""

from inspect import cleandoc
from typing import Any, get_args, get_origin

import attrs
from jsonschema_rs import ValidationError

from arvo.core.payloads.converter import converter
from arvo.core.payloads.fields import Field, PayloadError, fields_of, strip_annotations, type_name
from arvo.core.payloads.json_data import InvalidValue, is_json
from arvo.core.payloads.type_schema import schema_of_type
from arvo.core.payloads.validation import compile_validator, explain
from arvo.core.violations.issue import short_repr

_FACTORY: Any = attrs.Factory  # a class, which its stubs call a function
_EMPTY: dict[Any, Any] = {list: [], tuple: [], set: [], frozenset: [], dict: {}}


def json_schema(cls: type) -> dict[str, Any]:
    """Export the JSON Schema of the attrs class *cls*, with its constraints and nested classes.

    Objects are open: they may have keys that the class does not have. Nested classes are in
    ``$defs`` under their names, with a number where two share a name. Raises PayloadError for a
    type that JSON Schema cannot express.
    """
    fields_of(cls)
    defs = _Defs()
    schema = {"title": cls.__name__} | _object(cls, defs)
    _require_finite(cls, (), set())
    if defs.schemas:
        schema["$defs"] = defs.schemas
    for where, field_schema in defs.defaults:
        _require_valid_default(where, field_schema, defs.schemas)
    return schema


class _Defs:
    """The nested classes that one call of `json_schema` has found so far."""

    def __init__(self) -> None:
        self.names: dict[type, str] = {}
        self.schemas: dict[str, dict[str, Any]] = {}
        self.defaults: list[tuple[str, dict[str, Any]]] = []

    def ref(self, cls: type) -> dict[str, Any]:
        """Return a reference to *cls*; the first call also adds its schema."""
        if cls not in self.names:
            name, count = cls.__name__, 1
            while name in self.schemas:
                count += 1
                name = f"{cls.__name__}_{count}"
            self.names[cls] = name
            self.schemas[name] = {}  # reserves the name: the class may contain itself
            self.schemas[name] = _object(cls, self)
        return {"$ref": f"#/$defs/{_pointer(self.names[cls])}"}


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _object(cls: type, defs: _Defs) -> dict[str, Any]:
    fields = fields_of(cls)
    schema: dict[str, Any] = {"type": "object"}
    doc = cls.__dict__.get("__doc__")
    if doc:
        schema["description"] = cleandoc(doc)
    schema["properties"] = {field.wire: _property(cls, field, defs) for field in fields}
    required = [field.wire for field in fields if field.required]
    return schema | ({"required": required} if required else {})


def _property(cls: type, field: Field, defs: _Defs) -> dict[str, Any]:
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


def _require_finite(cls: type, outer: tuple[type, ...], done: set[type]) -> None:
    """Refuse a class that requires an instance of itself."""
    if cls in outer:
        cycle = " → ".join(kind.__name__ for kind in (*outer[outer.index(cls) :], cls))
        raise PayloadError(
            f"{cycle}: each requires the next, without end: make one of the fields optional"
        )
    if cls in done:
        return
    for field in fields_of(cls):
        for inner in _required_classes(field.type) if field.required else ():
            _require_finite(inner, (*outer, cls), done)
    done.add(cls)


def _required_classes(kind: Any) -> tuple[type, ...]:
    kind, _ = strip_annotations(kind)
    if isinstance(kind, type) and attrs.has(kind):
        return (kind,)
    if get_origin(kind) is tuple and get_args(kind)[-1:] != (...,):
        return tuple(inner for item in get_args(kind) for inner in _required_classes(item))
    return ()

"""Schema: the JSON Schema (draft 2020-12) of a payload class."""

from inspect import cleandoc
from typing import Any, get_args, get_origin

import attrs
from jsonschema_rs import ValidationError

from arvo.core.payloads.converter import converter
from arvo.core.payloads.fields import Field, PayloadError, bare, fields_of, title
from arvo.core.payloads.json_data import Unfit, is_plain
from arvo.core.payloads.type_schema import form
from arvo.core.payloads.validation import explain
from arvo.core.payloads.validator import validator
from arvo.core.violations.issue import short

_FACTORY: Any = attrs.Factory  # a class, which its stubs call a function
_EMPTY: dict[Any, Any] = {list: [], tuple: [], set: [], frozenset: [], dict: {}}


def json_schema(cls: type) -> dict[str, Any]:
    """Export the JSON Schema of the attrs class *cls*, with its constraints and nested classes.

    Objects are open: a sender may say more than is read. A class inside stands in ``$defs`` under
    its name, numbered where two share one. Raises PayloadError for what cannot be said.
    """
    fields_of(cls)
    defs = _Defs()
    schema = {"title": cls.__name__} | _object(cls, defs)
    _demand_an_end(cls, (), set())
    if defs.schemas:
        schema["$defs"] = defs.schemas
    for where, said in defs.defaults:
        _demand_a_fit(where, said, defs.schemas)
    return schema


class _Defs:
    """The classes met while one schema is made. It lives no longer than that."""

    def __init__(self) -> None:
        self.names: dict[type, str] = {}
        self.schemas: dict[str, dict[str, Any]] = {}
        self.defaults: list[tuple[str, dict[str, Any]]] = []

    def ref(self, cls: type) -> dict[str, Any]:
        """Point to *cls*, and write its schema down the first time."""
        if cls not in self.names:
            name, count = cls.__name__, 1
            while name in self.schemas:
                count += 1
                name = f"{cls.__name__}_{count}"
            self.names[cls] = name
            self.schemas[name] = {}  # taken: the class may meet itself below
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
    schema["properties"] = {each.wire: _property(cls, each, defs) for each in fields}
    required = [each.wire for each in fields if each.required]
    return schema | ({"required": required} if required else {})


def _property(cls: type, each: Field, defs: _Defs) -> dict[str, Any]:
    where = f"{title(cls)}.{each.name}"
    schema = form(each.type, where, defs.ref).schema
    default = _default(each, where)
    if default is attrs.NOTHING:
        return schema
    schema = schema | {"default": default}
    defs.defaults.append((where, schema))
    return schema


def _default(each: Field, where: str) -> Any:
    if isinstance(each.default, _FACTORY):
        # Other factories are not called: each call may say another default, as a clock does.
        return _EMPTY.get(each.default.factory, attrs.NOTHING)
    if each.default is attrs.NOTHING:
        return attrs.NOTHING
    said = converter().get_unstructure_hook(each.type)(each.default)
    if isinstance(said, Unfit):
        raise PayloadError(_misfit(where, said.value, said.expected))
    return said if is_plain(said) else attrs.NOTHING


def _demand_a_fit(where: str, schema: dict[str, Any], defs: dict[str, Any]) -> None:
    """Refuse a default that its own field would not take: every event that has it would fail."""
    try:
        validator(schema | {"$defs": defs}).validate(schema["default"])
    except ValidationError as error:
        told = explain([error], where.rpartition(".")[2])
        raise PayloadError(_misfit(where, schema["default"], told.items[0].expected)) from None


def _misfit(where: str, default: object, expected: str) -> str:
    return f"{where}: its default {short(default)} does not fit: expected {expected}"


def _demand_an_end(cls: type, above: tuple[type, ...], done: set[type]) -> None:
    """Refuse a class that cannot be built without one of itself."""
    if cls in above:
        ring = " → ".join(each.__name__ for each in (*above[above.index(cls) :], cls))
        raise PayloadError(
            f"{ring}: each needs the next, without end: make one of the fields optional"
        )
    if cls in done:
        return
    for each in fields_of(cls):
        for inner in _needed(each.type) if each.required else ():
            _demand_an_end(inner, (*above, cls), done)
    done.add(cls)


def _needed(kind: Any) -> tuple[type, ...]:
    kind, _ = bare(kind)
    if isinstance(kind, type) and attrs.has(kind):
        return (kind,)
    if get_origin(kind) is tuple and get_args(kind)[-1:] != (...,):
        return tuple(inner for each in get_args(kind) for inner in _needed(each))
    return ()

"""Classes: the payload classes of a JSON Schema."""

from collections.abc import Mapping
from typing import Any, Final, final

from attrs import Factory, define, frozen

from arvo.cli.generate.names import class_name, field_name, names_in
from arvo.cli.generate.source import (
    Expression,
    call,
    docstring,
    flat,
    layout,
    literal,
    quote,
    subscript,
)
from arvo.core.payloads.types.constraint import FORMATS
from arvo.core.payloads.types.scalars import SCALARS

_SCALARS: Final = {"date": "datetime", "datetime": "datetime", "time": "datetime"} | {
    "timedelta": "datetime",
    "Decimal": "decimal",
    "UUID": "uuid",
    "bytes": "",
}
_PRIMITIVES: Final = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}
_BOUNDS: Final = {
    "minimum": "Ge",
    "exclusiveMinimum": "Gt",
    "maximum": "Le",
    "exclusiveMaximum": "Lt",
    "multipleOf": "MultipleOf",
    **dict.fromkeys(("minLength", "minItems", "minProperties"), "MinLen"),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties"), "MaxLen"),
}


class UnsupportedError(Exception):
    """A schema that no class has; it stays JSON Schema."""


@final
@frozen
class WrittenClass:
    """A class: its name, its title in the schema, the source and the schema that it stands for."""

    name: str
    title: str
    source: str


@define
class Classes:
    """Writes the classes of schemas, each once, with the imports that they need.

    *contracts*: the names of the contracts in the module, which no class has.
    """

    contracts: frozenset[str]
    imports: set[tuple[str, str]] = Factory(set)
    written: list[WrittenClass] = Factory(list)
    # By the schema and its title: one class may be in several payloads.
    names: dict[str, str] = Factory(dict)
    # What the source of the classes defines: each runs once.
    values: dict[str, Any] = Factory(lambda: {"__name__": "contract"})

    def payload(self, schema: Mapping[str, Any]) -> str:
        """Return the name of the class of a payload.

        Raises UnsupportedError for a schema that no class has.
        """
        own = {key: it for key, it in schema.items() if key not in ("title", "$defs", "$schema")}
        if not isinstance(schema.get("title"), str):
            raise UnsupportedError("a schema without a title")
        return _Document(self, schema.get("$defs", {})).class_of(own, schema["title"])

    def name(self, title: str) -> str:
        """Return a name that no other class has."""
        name = class_name(title, {*self.names.values(), *self.contracts})
        if name is None:
            raise UnsupportedError(title)
        return name


@define
class _Document:
    """The classes of one schema, which refers to its own definitions."""

    classes: Classes
    defs: Mapping[str, Any]

    def class_of(self, schema: Mapping[str, Any], title: str) -> str:
        known = self.classes.names
        key = repr((title, schema, self._reached(schema, {})))
        if key in known:
            return known[key]
        if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict):
            raise UnsupportedError(title)
        if schema.keys() - {"type", "properties", "required", "description"}:
            raise UnsupportedError(title)
        name = known[key] = self.classes.name(title)
        source = self._source(schema, name)
        self.classes.written.append(WrittenClass(name, title, source))
        return name

    def _reached(self, schema: Any, found: dict[str, Any]) -> dict[str, Any]:
        """Return the definitions that a schema refers to, also by way of others."""
        if isinstance(schema, list):
            for item in schema:
                self._reached(item, found)
        elif isinstance(schema, dict):
            name = str(schema.get("$ref", "")).removeprefix("#/$defs/")
            if name in self.defs and name not in found:
                found[name] = self.defs[name]
                self._reached(self.defs[name], found)
            for item in schema.values():
                self._reached(item, found)
        return found

    def _source(self, schema: Mapping[str, Any], name: str) -> str:
        required = frozenset(schema.get("required", ()))
        fields = schema["properties"]
        # A field that may be missing without a default is none of attrs.
        is_record = any(
            key not in required and "default" not in field for key, field in fields.items()
        )
        if is_record and any("default" in field for field in fields.values()):
            raise UnsupportedError(name)
        lines = [f"class {name}(TypedDict):" if is_record else f"@frozen\nclass {name}:"]
        self._use(("typing", "TypedDict") if is_record else ("attrs", "frozen"))
        if "description" in schema:
            text = docstring(schema["description"])
            if text is None:
                raise UnsupportedError(name)
            lines.append(text)
        ordered = sorted(fields.items(), key=lambda item: item[0] not in required)
        kinds = [self._type(_without_default(field)) for _, field in ordered]
        # An attribute that is named as a type hides it from the fields below, and from mypy.
        taken = {name for kind in kinds for name in names_in(kind)}
        body = []
        for (key, field), kind in zip(ordered, kinds, strict=True):
            attribute = field_name(key, taken)
            taken.add(attribute)
            body.append(self._field(key, attribute, field, kind, is_optional=key not in required))
        return "\n".join([*lines, *(body or ["    pass"])])

    def _field(
        self,
        key: str,
        name: str,
        field: Mapping[str, Any],
        kind: Expression,
        *,
        is_optional: bool,
    ) -> str:
        own = _without_default(field)
        if name != key:
            self._use(("typing", "Annotated"), ("arvo", "Alias"))
            alias = call("Alias", quote(key))
            kind = _annotated(kind, alias)
        if "default" not in field:
            if is_optional:
                self._use(("typing", "NotRequired"))
                kind = subscript("NotRequired", kind)
            return layout(f"{name}: ", kind, 4)
        default = field["default"]
        if isinstance(default, str) and own.get("type") == "string" and _scalar(own):
            raise UnsupportedError(key)
        if isinstance(default, list):
            if default:
                raise UnsupportedError(key)
            is_set = own.get("uniqueItems", False)
            return layout(f"{name}: ", kind, 4, f" = {'frozenset()' if is_set else '()'}")
        if isinstance(default, dict) or not is_optional:
            raise UnsupportedError(key)
        return layout(f"{name}: ", kind, 4, f" = {layout('', literal(default))}")

    def _type(self, schema: Mapping[str, Any]) -> Expression:
        scalar = _scalar(schema)
        if scalar:
            if _SCALARS[scalar]:
                self._use((_SCALARS[scalar], scalar))
            return scalar
        rest = dict(schema)
        markers = self._markers(rest)
        kind = self._plain(rest)
        for marker in markers:
            self._use(("typing", "Annotated"))
            kind = _annotated(kind, marker)
        return kind

    def _markers(self, rest: dict[str, Any]) -> list[Expression]:
        markers: list[Expression] = []
        kind = rest.get("type")
        if kind == "array" and "prefixItems" in rest:
            return markers
        for keyword in [keyword for keyword in rest if keyword in _BOUNDS]:
            self._use(("annotated_types", _BOUNDS[keyword]))
            markers.append(call(_BOUNDS[keyword], repr(rest.pop(keyword))))
        if "pattern" in rest:
            self._use(("arvo", "Pattern"))
            patterns = [rest.pop("pattern")]
            if all(it.keys() == {"pattern"} for it in rest.get("allOf", ())):
                patterns += [it["pattern"] for it in rest.pop("allOf", ())]
            markers += [call("Pattern", quote(pattern)) for pattern in patterns]
        if rest.get("format") in FORMATS:
            self._use(("arvo", "Format"))
            markers.append(call("Format", quote(rest.pop("format"))))
        if "description" in rest:
            self._use(("annotated_types", "doc"))
            markers.append(call("doc", quote(rest.pop("description"))))
        return markers

    def _plain(self, schema: dict[str, Any]) -> Expression:
        kind = schema.get("type")
        match schema:
            case {} if not schema:
                self._use(("typing", "Any"))
                return "Any"
            case {"$ref": str(ref)} if len(schema) == 1:
                return self._reference(ref)
            case {"anyOf": list(members)} if len(schema) == 1:
                return self._union(members)
            case {"const": value} | {"enum": [value]}:
                return self._choice(schema, [value])
            case {"enum": list(values)}:
                return self._choice(schema, values)
            case {"type": "array"}:
                return self._array(schema)
            case {"type": "object", "additionalProperties": values} if values is not False:
                return self._mapping(schema, values)
            case {"type": str()} if len(schema) == 1 and kind in _PRIMITIVES:
                return _PRIMITIVES[kind]
            case _:
                raise UnsupportedError(str(schema))

    def _reference(self, ref: str) -> str:
        name = ref.removeprefix("#/$defs/")
        if name not in self.defs:
            raise UnsupportedError(ref)
        found = self.class_of(self.defs[name], name)
        is_written = any(it.name == found for it in self.classes.written)
        # A class that contains itself is named before it is there.
        return found if is_written else quote(found)

    def _union(self, members: list[Any]) -> str:
        parts = []
        for member in members:
            own = dict(member)
            if "$ref" in own:
                own.pop("required", None)  # the discriminator, which every union requires
            part = flat(self._type(own))
            parts.append(part)
        union = " | ".join(part.strip('"') if _is_quoted(part) else part for part in parts)
        return quote(union) if any(map(_is_quoted, parts)) else union

    def _choice(self, schema: dict[str, Any], values: list[Any]) -> Expression:
        if schema.keys() - {"type", "const", "enum"} or not all(
            isinstance(value, str | int | bool | None) for value in values
        ):
            raise UnsupportedError(str(schema))
        self._use(("typing", "Literal"))
        return subscript("Literal", *map(literal, values))

    def _array(self, schema: dict[str, Any]) -> Expression:
        match schema:
            case {"prefixItems": list(items), "items": False}:
                return subscript("tuple", *map(self._type, items))
            case {"items": item, "uniqueItems": True, **rest} if rest.keys() == {"type"}:
                return subscript("frozenset", self._type(item))
            case {"items": item, **rest} if rest.keys() == {"type"}:
                return subscript("tuple", self._type(item), "...")
            case _:
                raise UnsupportedError(str(schema))

    def _mapping(self, schema: dict[str, Any], values: Any) -> Expression:
        if schema.keys() - {"type", "additionalProperties", "propertyNames"}:
            raise UnsupportedError(str(schema))
        self._use(("collections.abc", "Mapping"))
        keys = self._type(schema.get("propertyNames", {"type": "string"}))
        return subscript("Mapping", keys, self._type({} if values is True else values))

    def _use(self, *names: tuple[str, str]) -> None:
        self.classes.imports.update(names)


def _without_default(field: Mapping[str, Any]) -> dict[str, Any]:
    return {keyword: it for keyword, it in field.items() if keyword != "default"}


def _scalar(schema: Mapping[str, Any]) -> str | None:
    """Return the type whose string a schema is of: a date, a Decimal."""
    return next((it.__name__ for it, scalar in SCALARS.items() if scalar.schema == schema), None)


def _is_quoted(kind: str) -> bool:
    return kind.startswith('"')


def _annotated(kind: Expression, marker: Expression) -> Expression:
    if not isinstance(kind, str) and kind.head == "Annotated":
        return subscript("Annotated", *(item for _, item in kind.items), marker)
    return subscript("Annotated", kind, marker)

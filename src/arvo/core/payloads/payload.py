"""Payload: a class or JSON Schema for the data of events, which reads and writes it."""

import builtins
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import UnionType
from typing import Any, Generic, TypeVar, cast, overload

import orjson
from attrs import evolve, frozen
from jsonschema_rs import ValidationError, Validator

from arvo.core.payloads.codec import Codec, codec_of
from arvo.core.payloads.converter import structure, unstructure_hook
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.hooks import instance_types
from arvo.core.payloads.json_data import is_json, to_json_data
from arvo.core.payloads.pruning import Pruner
from arvo.core.payloads.schema import (
    ClassSchema,
    Tag,
    class_schema,
    classes_of_union,
    union_schema,
)
from arvo.core.payloads.types.adapters import adapter_of, is_payload_class
from arvo.core.payloads.types.classes import CLASS_KINDS, CLASSES_MAX, PayloadError, type_name
from arvo.core.payloads.types.fields import fields_of
from arvo.core.payloads.validation import compile_validator, explain
from arvo.core.payloads.zod import ZodSchema
from arvo.core.violations.issue import Issues, join_path, short_repr

T = TypeVar("T")

EXPLAINED_BYTES_MAX = 64 * 1024
"""Up to which size invalid data is explained in full. The validator takes 2 KiB and 10 µs for each
error, and computes all errors of ``anyOf`` alternatives even for the first: a megabyte of
``1,1,1,…`` takes 7 s. For larger data only the first error is reported, and if the schema has
alternatives, only that the data does not fit."""


@frozen(eq=False, repr=False)
class Payload(Generic[T]):
    """A payload class, a union of them or a JSON Schema, compiled to read and write event data.

    `Payload.of` makes it, once for each class. *type* is its only class, or None; *types* are its
    classes, several for a union and none for a JSON Schema; *name* is for messages.
    *instance_types* are the Python types of the instances: of a `TypedDict`, dicts. Payloads are
    equal if their classes and schemas are.

    >>> Payload.of({"properties": {"n": {"type": "integer"}}}).read({"n": 1, "unknown": 2})
    {'n': 1}
    """

    type: builtins.type[T] | None
    types: tuple[builtins.type[Any], ...]
    name: str
    instance_types: tuple[builtins.type, ...]
    _exported: bytes
    _canonical: bytes
    _extra_keys: tuple[str, ...]
    _validator: Validator
    _pruner: Pruner | None
    # Of a class alone: it knows the plain values of plain classes, nearly all that there are.
    _codec: Codec | None
    # Whether what the codec lets pass fits the schema.
    _is_plain: bool
    # The payloads of the classes of a union; `_tag` is the key that says which, and its values.
    members: "tuple[Payload[Any], ...]" = ()
    _tag: Tag | None = None
    _zod: ZodSchema | None = None

    @overload
    @staticmethod
    def of(kind: builtins.type[T], extra: Mapping[str, Any] | None = None) -> "Payload[T]": ...
    @overload
    @staticmethod
    def of(kind: "Payload[T]", extra: Mapping[str, Any] | None = None) -> "Payload[T]": ...
    @overload
    @staticmethod
    def of(
        kind: Mapping[str, Any], extra: Mapping[str, Any] | None = None
    ) -> "Payload[Mapping[str, Any]]": ...
    @overload
    @staticmethod
    def of(
        kind: tuple[builtins.type[Any], ...] | UnionType, extra: Mapping[str, Any] | None = None
    ) -> "Payload[Any]": ...
    @staticmethod
    def of(kind: Any, extra: Mapping[str, Any] | None = None) -> "Payload[Any]":
        """Make a payload of a class or a JSON Schema. Raises PayloadError.

        The class is an `attrs.frozen` one, a frozen dataclass, a `NamedTuple` or a `TypedDict`, or
        a model of pydantic once `arvo.pydantic` is imported; also a generic one with its types.

        A union of classes, `A | B` or `(A, B)`, is one payload too: its data is that of exactly one
        of them. It raises PayloadError where a reader could not tell which.

        *extra* are the schemas of properties that belong to the protocol and not to the class:
        they are required, checked and part of the schema, but the class does not get them.
        """
        extra_text = orjson.dumps(_require_json(extra, "extra")) if extra else b"{}"
        if isinstance(kind, Payload):
            if not extra:
                return kind
            kind = kind.kind
        if isinstance(kind, Mapping):
            strips = kind.strips if isinstance(kind, ZodSchema) else None
            return _of_schema(orjson.dumps(_require_json(kind, "schema")), extra_text, strips)
        if isinstance(kind, type) or is_payload_class(kind):
            return _of_class(kind, extra_text)
        if (classes := classes_of_union(kind)) is not None:
            return _of_union(classes, bool(extra))
        raise PayloadError(
            f"{short_repr(kind)}: neither a payload class nor a JSON Schema: use a class declared "
            f"with {CLASS_KINDS}"
        )

    @property
    def kind(self) -> Any:
        """What `of` makes it of: the class, the tuple of classes, or the JSON Schema."""
        return self.type or self.types or self._zod or self.schema

    @property
    def schema(self) -> dict[str, Any]:
        """A new copy of the JSON Schema: draft 2020-12, or the draft that an imported one names."""
        return cast("dict[str, Any]", orjson.loads(self._exported))

    @property
    def is_zod(self) -> bool:
        """Whether data is checked as zod checks it."""
        return self._zod is not None

    @property
    def checked_schema(self) -> dict[str, Any]:
        """A new copy of the JSON Schema by which data is checked: another one only for zod's."""
        return self.schema if self._zod is None else self._zod.checked

    def read(self, data: object, path: str = "data") -> T | Issues:
        """Convert JSON *data* to an instance, or to a new dict if the payload is a JSON Schema.

        Applies defaults and drops unknown keys. It raises nothing: data that does not fit, or that
        the class's own validators refuse, returns Issues with paths below *path*.
        """
        if self.members:
            return self._read_member(data, path)
        if self._codec is not None and type(data) is FrozenDict:
            try:
                if self._is_plain or self._validator.is_valid(data):
                    made: T = self._codec.read(data)
                    return made
            except Exception:  # noqa: BLE001, S110  # validators and converters of users raise anything
                pass
        checked = self._check(data, path)
        if isinstance(checked, Issues):
            return checked
        if self.type is None:
            return checked  # type: ignore[return-value]  # T is a mapping
        instance: T | Issues = structure(self.type, self._own(checked), path)
        return instance

    def write(
        self, value: object, extra: Mapping[str, Any] | None = None, path: str = "data"
    ) -> dict[str, Any] | Issues:
        """Convert *value*, an instance or a mapping, to JSON data that the schema allows.

        A mapping is read first, which applies defaults and drops unknown keys. *extra* are the
        values of the protocol's properties. Nothing is changed silently: NaN, an integer beyond 64
        bits, a datetime without offset and the like return Issues.
        """
        if self.members:
            return self._write_member(value, extra, path)
        if type(value) in self.instance_types:
            plain = self._write_plain(value, extra)
            if plain is not None:
                return plain
            written = self._write_instance(value, extra, path)
            if not (isinstance(value, Mapping) and isinstance(written, Issues)):
                return written
            # A dict may be an instance of a `TypedDict`, or its JSON.
            json = self._write_mapping(value, extra, path)
            return written if isinstance(json, Issues) and not is_json(value) else json
        if isinstance(value, Mapping):
            return self._write_mapping(value, extra, path)
        return self._not_an_instance(value, path)

    def _write_member(
        self, value: object, extra: Mapping[str, Any] | None, path: str
    ) -> dict[str, Any] | Issues:
        """Write an instance of a class of the union, or data that fits one."""
        for member in self.members:
            if type(value) in member.instance_types:
                written = member.write(value, extra, path)
                # A dict may be one of another `TypedDict`, or the JSON of any class.
                if not (isinstance(value, Mapping) and isinstance(written, Issues)):
                    return written
        if not isinstance(value, Mapping):
            return self._not_an_instance(value, path)
        instance = self._read_member(value, path)
        if isinstance(instance, Issues):
            return instance
        member = next(it for it in self.members if type(instance) in it.instance_types)
        return member.write(instance, extra, path)

    def _not_an_instance(self, value: object, path: str) -> Issues:
        instance = f"an instance of {self.name} or " if self.types else ""
        return Issues.one(path, f"{instance}a mapping", short_repr(value))

    def _read_member(self, data: object, path: str) -> Any | Issues:
        """Read the data of a union as the one class that it fits."""
        if self._tag is not None:
            key, class_by_value = self._tag
            if not isinstance(data, Mapping):
                return _not_an_object(path, data)
            value: Any = data.get(key)
            kind = class_by_value.get(value) if type(value) in (str, int) else None
            if kind is None:
                expected = f"one of {', '.join(map(repr, class_by_value))}"
                return Issues.one(join_path(path, key), expected, short_repr(value))
            return self.members[self.types.index(kind)].read(data, path)
        read = [member.read(data, path) for member in self.members]
        match [value for value in read if not isinstance(value, Issues)]:
            case [only]:
                return only
            case []:
                return min((it for it in read if isinstance(it, Issues)), key=_distance)
            case _:
                return Issues.one(path, f"data of only one of {self.name}", short_repr(data))

    def _write_plain(self, value: object, extra: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """Write an instance by its codec; return None where that takes the general way."""
        if self._codec is None:
            return None
        try:
            data = self._codec.write(value)
        except Exception:  # noqa: BLE001  # a property of a user raises anything
            return None
        if self._is_plain:
            return data
        for key in self._extra_keys:
            if extra and key in extra:
                if not is_json(extra[key], 0):
                    return None
                dict.__setitem__(data, key, extra[key])
        return data if self._validator.is_valid(data) else None

    def _write_mapping(
        self, value: Mapping[str, Any], extra: Mapping[str, Any] | None, path: str
    ) -> dict[str, Any] | Issues:
        # One that is no dict may compute its items, and raise: the check has an answer to that.
        data = value if isinstance(value, dict) or not extra else to_json_data(value, path)
        if isinstance(data, Issues):
            return data
        checked = self._check({**data, **extra} if extra else data, path)
        if isinstance(checked, Issues) or self.type is None:
            return checked
        instance = structure(self.type, self._own(checked), path)
        if isinstance(instance, Issues):
            return instance
        return self._write_instance(instance, checked, path)

    def _own(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return *data* without the keys of the protocol, which a class may refuse as unknown."""
        if not self._extra_keys:
            return data
        return {key: item for key, item in data.items() if key not in self._extra_keys}

    def _write_instance(
        self, value: object, extra: Mapping[str, Any] | None, path: str
    ) -> dict[str, Any] | Issues:
        try:
            kind: Any = self.type
            adapter = adapter_of(kind)
            write = unstructure_hook(kind) if adapter is None else partial(adapter.write, path=path)
            data = write(value)
        except Exception as error:  # noqa: BLE001  # a property or tzinfo of a user raises anything
            return Issues.one(path, f"a {self.name} that can be written", short_repr(error))
        if isinstance(data, Issues):
            return data
        if extra and self._extra_keys and isinstance(data, dict):
            data |= {key: extra[key] for key in self._extra_keys if key in extra}
        return self._check(data, path)

    def _check(self, data: object, path: str) -> dict[str, Any] | Issues:
        json = data if is_json(data) else to_json_data(data, path)
        if not isinstance(json, dict):
            return json if isinstance(json, Issues) else _not_an_object(path, data)
        if self._pruner is not None:
            json = self._pruner.apply_defaults(json)
        if not self._validator.is_valid(json):
            return self._explain(json, path)
        if self._pruner is None:
            return json
        pruned: dict[str, Any] = self._pruner.prune(json)
        return pruned

    def _explain(self, data: dict[str, Any], path: str) -> Issues:
        if len(orjson.dumps(data)) <= EXPLAINED_BYTES_MAX:
            return explain(self._validator.iter_errors(data), path)
        if b'"anyOf"' in self._exported or b'"oneOf"' in self._exported:
            return Issues.one(path, f"data that fits {self.name}", short_repr(data))
        try:
            self._validator.validate(data)
        except ValidationError as error:
            return explain([error], path)
        return Issues.one(path, f"data that fits {self.name}", short_repr(data))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Payload):
            return NotImplemented
        if (self._zod is None) != (other._zod is None):
            return False
        strips = self._zod is None or other._zod is None or self._zod.strips == other._zod.strips
        return strips and self.types == other.types and self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash((self.types, self._canonical))

    def __repr__(self) -> str:
        return f"Payload.of({self.name})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self.type is None:
            return Payload.of, (self.kind,)
        properties = self.schema["properties"]
        return Payload.of, (self.type, {key: properties[key] for key in self._extra_keys})


def _distance(issues: Issues) -> tuple[int, int]:
    """Order the issues of a union's classes: those of the class that is meant come first.

    That is the one with the fewest missing keys.
    """
    return sum(issue.got == "nothing" for issue in issues.items), len(issues.items)


def _not_an_object(path: str, data: object) -> Issues:
    return Issues.one(path, "an object", short_repr(data))


@lru_cache(maxsize=CLASSES_MAX)
def _of_class(cls: Any, extra_text: bytes) -> Payload[Any]:
    extra = orjson.loads(extra_text)
    schema = class_schema(cls)
    name = type_name(cls)
    clashes = [field.wire for field in fields_of(cls) if field.wire in extra]
    if clashes:
        raise PayloadError(
            f"{name}.{clashes[0]}: the protocol has a key of this name: rename the field"
        )
    return _compile(cls, name, schema, extra)


@lru_cache(maxsize=CLASSES_MAX)
def _of_schema(text: bytes, extra_text: bytes, strips: bool | None = None) -> Payload[Any]:
    schema = orjson.loads(text)
    zod = None if strips is None else ZodSchema(schema, strips=strips)
    types = schema.get("type", "object")
    if not isinstance(types, str | list) or "object" not in types:
        raise PayloadError(
            f'schema: the data of an event is an object, but the schema has "type": {types!r}'
        )
    title = schema.get("title")
    return _compile(
        None,
        title if isinstance(title, str) else "JSON Schema",
        ClassSchema(schema, schema if zod is None else zod.checked),
        orjson.loads(extra_text),
        zod,
    )


@lru_cache(maxsize=CLASSES_MAX)
def _of_union(classes: tuple[Any, ...], has_extra: bool) -> Payload[Any]:
    if has_extra:
        raise PayloadError("only a payload that completes a workflow is one of several classes")
    if len(classes) == 1:
        return Payload.of(classes[0])
    schema, tag = union_schema(classes)
    members = tuple(_of_class(cls, b"{}") for cls in classes)
    compiled = _compile(None, schema["title"], ClassSchema(schema, schema), {})
    types = (kind for member in members for kind in member.instance_types)
    return evolve(
        compiled,
        types=classes,
        instance_types=tuple(dict.fromkeys(types)),
        members=members,
        tag=tag,
        pruner=None,
    )


def _compile(
    cls: Any | None,
    name: str,
    schemas: ClassSchema,
    extra: dict[str, Any],
    zod: ZodSchema | None = None,
) -> Payload[Any]:
    schema = _with_keys(schemas.exported, name, extra)
    checked = schema
    if schemas.checked is not schemas.exported:
        checked = _with_keys(schemas.checked, name, extra)
        _validator(schema, name)
    codec = None if cls is None else codec_of(cls)
    return Payload(
        type=cls,
        types=() if cls is None else (cls,),
        name=name,
        instance_types=() if cls is None else instance_types(cls),
        exported=orjson.dumps(schema),
        canonical=orjson.dumps(schema, option=orjson.OPT_SORT_KEYS),
        extra_keys=tuple(extra),
        validator=_validator(checked, name, counts_as_zod=zod is not None and not zod.is_zod_4),
        pruner=Pruner(checked, takes_first=zod is not None) if cls is None else None,
        codec=codec,
        is_plain=codec is not None and not codec.is_constrained and not extra,
        zod=None if zod is None else ZodSchema(schema, strips=zod.strips),
    )


def _with_keys(schema: dict[str, Any], name: str, extra: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with the keys of the protocol."""
    if not extra:
        return schema
    _validator(schema, name)
    properties = schema.get("properties", {}) | extra
    required = list(dict.fromkeys([*schema.get("required", ()), *extra]))
    # A schema without keys allows any: next to `properties` other keys become unknown.
    is_open = not schema.keys() & _KEYWORDS_WITH_KEYS
    added = {"additionalProperties": True} if is_open else {}
    return schema | added | {"properties": properties, "required": required}


_KEYWORDS_WITH_KEYS = {"properties", "$ref", "allOf", "anyOf", "oneOf"}


def _validator(schema: dict[str, Any], name: str, *, counts_as_zod: bool = False) -> Any:
    try:
        return compile_validator(schema, counts_as_zod=counts_as_zod)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise PayloadError(f"{name}: not a JSON Schema: {reason}") from error


def _require_json(value: Mapping[str, Any], name: str) -> Any:
    data = to_json_data(value, name)
    if isinstance(data, Issues):
        raise PayloadError(f"{name}: not a JSON Schema: {data}")
    return data

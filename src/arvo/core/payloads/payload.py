"""Payload: a class or JSON Schema for the data of events, which reads and writes it."""

import builtins
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast, overload

import orjson
from attrs import frozen
from jsonschema_rs import ValidationError, Validator

from arvo.core.payloads.converter import structure, unstructure_hook
from arvo.core.payloads.fields import CLASSES_MAX, PayloadError, fields_of
from arvo.core.payloads.json_data import to_json_data
from arvo.core.payloads.pruning import Pruner
from arvo.core.payloads.schema import json_schema
from arvo.core.payloads.validation import compile_validator, explain
from arvo.core.violations.issue import Issues, short_repr

T = TypeVar("T")

EXPLAINED_BYTES_MAX = 64 * 1024
"""Up to which size invalid data is explained in full. The validator takes 2 KiB and 10 µs for each
error, and computes all errors of ``anyOf`` alternatives even for the first: a megabyte of
``1,1,1,…`` takes 7 s. For larger data only the first error is reported, and if the schema has
alternatives, only that the data does not fit."""


@frozen(eq=False, repr=False)
class Payload(Generic[T]):
    """An attrs class or a JSON Schema, compiled to read and write the data of events.

    `Payload.of` makes it, once for each class. *type* is the class, None for a JSON Schema; *name*
    is for messages. Payloads are equal if their classes and schemas are.

    >>> Payload.of({"properties": {"n": {"type": "integer"}}}).read({"n": 1, "unknown": 2})
    {'n': 1}
    """

    type: builtins.type[T] | None
    name: str
    _exported: bytes
    _canonical: bytes
    _extra_keys: tuple[str, ...]
    _validator: Validator
    _pruner: Pruner | None

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
    @staticmethod
    def of(kind: Any, extra: Mapping[str, Any] | None = None) -> "Payload[Any]":
        """Make a payload of an attrs.frozen class or a JSON Schema. Raises PayloadError.

        *extra* are the schemas of properties that belong to the protocol and not to the class:
        they are required, checked and part of the schema, but the class does not get them.
        """
        extra_text = orjson.dumps(_require_json(extra or {}, "extra"))
        if isinstance(kind, Payload):
            if not extra:
                return kind
            kind = kind.schema if kind.type is None else kind.type
        if isinstance(kind, Mapping):
            return _of_schema(orjson.dumps(_require_json(kind, "schema")), extra_text)
        if isinstance(kind, type):
            return _of_class(kind, extra_text)
        raise PayloadError(f"{short_repr(kind)}: neither an attrs class nor a JSON Schema")

    @property
    def schema(self) -> dict[str, Any]:
        """A new copy of the JSON Schema: draft 2020-12, or the draft that an imported one names."""
        return cast("dict[str, Any]", orjson.loads(self._exported))

    def read(self, data: object, path: str = "data") -> T | Issues:
        """Convert JSON *data* to an instance, or to a new dict if the payload is a JSON Schema.

        Applies defaults and drops unknown keys. It raises nothing: data that does not fit, or that
        the class's own validators refuse, returns Issues with paths below *path*.
        """
        checked = self._check(data, path)
        if isinstance(checked, Issues):
            return checked
        if self.type is None:
            return cast("T", checked)
        return cast("T | Issues", structure(self.type, checked, path))

    def write(
        self, value: object, extra: Mapping[str, Any] | None = None, path: str = "data"
    ) -> dict[str, Any] | Issues:
        """Convert *value*, an instance or a mapping, to JSON data that the schema allows.

        A mapping is read first, which applies defaults and drops unknown keys. *extra* are the
        values of the protocol's properties. Nothing is changed silently: NaN, an integer beyond 64
        bits, a datetime without offset and the like return Issues.
        """
        if isinstance(value, Mapping):
            return self._write_mapping({**value, **(extra or {})}, path)
        if self.type is None:
            return Issues.one(path, "a mapping", short_repr(value))
        if type(value) is not self.type:
            return Issues.one(path, f"an instance of {self.name} or a mapping", short_repr(value))
        return self._write_instance(value, extra or {}, path)

    def _write_mapping(self, value: Mapping[str, Any], path: str) -> dict[str, Any] | Issues:
        checked = self._check(value, path)
        if isinstance(checked, Issues) or self.type is None:
            return checked
        instance = structure(self.type, checked, path)
        if isinstance(instance, Issues):
            return instance
        return self._write_instance(instance, checked, path)

    def _write_instance(
        self, value: object, extra: Mapping[str, Any], path: str
    ) -> dict[str, Any] | Issues:
        try:
            kind: Any = type(value)
            data = unstructure_hook(kind)(value)
        except Exception as error:  # noqa: BLE001  # a property or tzinfo of a user raises anything
            return Issues.one(path, f"a {self.name} that can be written", short_repr(error))
        data |= {key: extra[key] for key in self._extra_keys if key in extra}
        return self._check(data, path)

    def _check(self, data: object, path: str) -> dict[str, Any] | Issues:
        json = to_json_data(data, path)
        if isinstance(json, Issues):
            return json
        if not isinstance(json, dict):
            return Issues.one(path, "an object", short_repr(data))
        if self._pruner is not None:
            json = self._pruner.apply_defaults(json)
        if not self._validator.is_valid(json):
            return self._explain(json, path)
        return json if self._pruner is None else cast("dict[str, Any]", self._pruner.prune(json))

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
        return self.type is other.type and self._canonical == other._canonical

    def __hash__(self) -> int:
        return hash((self.type, self._canonical))

    def __repr__(self) -> str:
        return f"Payload.of({self.name})"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self.type is None:
            return Payload.of, (self.schema,)
        properties = self.schema["properties"]
        return Payload.of, (self.type, {key: properties[key] for key in self._extra_keys})


@lru_cache(maxsize=CLASSES_MAX)
def _of_class(cls: type, extra_text: bytes) -> Payload[Any]:
    extra = orjson.loads(extra_text)
    schema = json_schema(cls)
    clashes = [field.wire for field in fields_of(cls) if field.wire in extra]
    if clashes:
        raise PayloadError(
            f"{cls.__name__}.{clashes[0]}: the protocol has a key of this name: rename the field"
        )
    return _compile(cls, cls.__name__, schema, extra, prunes=False)


@lru_cache(maxsize=CLASSES_MAX)
def _of_schema(text: bytes, extra_text: bytes) -> Payload[Any]:
    schema = orjson.loads(text)
    types = schema.get("type", "object")
    if not isinstance(types, str | list) or "object" not in types:
        raise PayloadError(
            f'schema: the data of an event is an object, but the schema has "type": {types!r}'
        )
    title = schema.get("title")
    return _compile(
        None,
        title if isinstance(title, str) else "JSON Schema",
        schema,
        orjson.loads(extra_text),
        prunes=True,
    )


def _compile(
    cls: type | None, name: str, schema: dict[str, Any], extra: dict[str, Any], *, prunes: bool
) -> Payload[Any]:
    if extra:
        _validator(schema, name)
        if not schema.keys() & _KEYWORDS_WITH_KEYS:
            # A schema without keys allows any: next to `properties` other keys become unknown.
            schema.setdefault("additionalProperties", True)
        required = [*schema.get("required", ()), *extra]
        schema["properties"] = schema.get("properties", {}) | extra
        schema["required"] = list(dict.fromkeys(required))
    compiled = _validator(schema, name)
    canonical = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    return Payload(
        type=cls,
        name=name,
        exported=orjson.dumps(schema),
        canonical=canonical,
        extra_keys=tuple(extra),
        validator=compiled,
        pruner=Pruner(schema) if prunes else None,
    )


_KEYWORDS_WITH_KEYS = {"properties", "$ref", "allOf", "anyOf", "oneOf"}


def _validator(schema: dict[str, Any], name: str) -> Any:
    try:
        return compile_validator(schema)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise PayloadError(f"{name}: not a JSON Schema: {reason}") from error


def _require_json(value: Mapping[str, Any], name: str) -> Any:
    data = to_json_data(value, name)
    if isinstance(data, Issues):
        raise PayloadError(f"{name}: not a JSON Schema: {data}")
    return data

"""Payload: what the data of an event must look like, and the two ways across."""

import builtins
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast, overload

import orjson
from attrs import frozen
from jsonschema_rs import ValidationError, Validator

from arvo.core.payloads.converter import structure, writer
from arvo.core.payloads.fields import CLASSES_MAX, PayloadError, fields_of
from arvo.core.payloads.json_data import plain
from arvo.core.payloads.pruning import Known
from arvo.core.payloads.schema import json_schema
from arvo.core.payloads.validation import explain
from arvo.core.payloads.validator import validator
from arvo.core.violations.issue import Issues, short

T = TypeVar("T")

EXPLAINED_BYTES_MAX = 64 * 1024
"""How much bad data is explained in full. The validator keeps 2 KiB and 10 µs for each error, and
for the alternatives of ``anyOf`` even if we ask for the first: a megabyte of ``1,1,1,…`` takes 7 s.
Of more data the first error is told; if the schema has alternatives, only that it does not fit."""


@frozen(eq=False, repr=False)
class Payload(Generic[T]):
    """An attrs class or a JSON Schema, ready to read and write the data of events.

    Made by `Payload.of`, once for a class. *type* is the class, None for a JSON Schema; *name* is
    for messages. Two are equal if class and schema are.

    >>> Payload.of({"properties": {"n": {"type": "integer"}}}).read({"n": 1, "unknown": 2})
    {'n': 1}
    """

    type: builtins.type[T] | None
    name: str
    _exported: bytes
    _canonical: bytes
    _beside: tuple[str, ...]
    _validator: Validator
    _known: Known | None

    @overload
    @staticmethod
    def of(kind: builtins.type[T], beside: Mapping[str, Any] | None = None) -> "Payload[T]": ...
    @overload
    @staticmethod
    def of(kind: "Payload[T]", beside: Mapping[str, Any] | None = None) -> "Payload[T]": ...
    @overload
    @staticmethod
    def of(
        kind: Mapping[str, Any], beside: Mapping[str, Any] | None = None
    ) -> "Payload[Mapping[str, Any]]": ...
    @staticmethod
    def of(kind: Any, beside: Mapping[str, Any] | None = None) -> "Payload[Any]":
        """Take an attrs.frozen class or a JSON Schema as a payload. Raises PayloadError.

        *beside* are the schemas of properties that belong to the protocol and not to the class:
        they are required and checked, and stand in the schema; the class does not see them.
        """
        extra = orjson.dumps(_json(beside or {}, "beside"))
        if isinstance(kind, Payload):
            if not beside:
                return kind
            kind = kind.schema if kind.type is None else kind.type
        if isinstance(kind, Mapping):
            return _of_schema(orjson.dumps(_json(kind, "schema")), extra)
        if isinstance(kind, type):
            return _of_class(kind, extra)
        raise PayloadError(f"expected an attrs class or a JSON Schema, got {short(kind)}")

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema: draft 2020-12, or what a foreign one says it is. A copy at each call."""
        return cast("dict[str, Any]", orjson.loads(self._exported))

    def read(self, data: object, path: str = "data") -> T | Issues:
        """Make of JSON *data* an instance, or a new dict where the payload is a JSON Schema.

        Defaults are applied and unknown keys dropped. Nothing is raised: what does not fit, and
        what the class's own validators refuse, comes back as Issues with paths below *path*.
        """
        checked = self._check(data, path)
        if isinstance(checked, Issues):
            return checked
        if self.type is None:
            return cast("T", checked)
        return cast("T | Issues", structure(self.type, checked, path))

    def write(
        self, value: object, beside: Mapping[str, Any] | None = None, path: str = "data"
    ) -> dict[str, Any] | Issues:
        """Give *value*, an instance or a mapping, as plain JSON data that the schema allows.

        A mapping is read first, so defaults are applied and unknown keys dropped. *beside* are
        the values of the properties beside the class. Nothing is changed silently: NaN, an integer
        beyond 64 bits, a datetime without offset and the like are Issues.
        """
        if isinstance(value, Mapping):
            return self._write_mapping({**value, **(beside or {})}, path)
        if self.type is None:
            return Issues.one(path, "a mapping", short(value))
        if type(value) is not self.type:
            return Issues.one(path, f"an instance of {self.name} or a mapping", short(value))
        return self._write_instance(value, beside or {}, path)

    def _write_mapping(self, value: Mapping[str, Any], path: str) -> dict[str, Any] | Issues:
        checked = self._check(value, path)
        if isinstance(checked, Issues) or self.type is None:
            return checked
        instance = structure(self.type, checked, path)
        if isinstance(instance, Issues):
            return instance
        return self._write_instance(instance, checked, path)

    def _write_instance(
        self, value: object, beside: Mapping[str, Any], path: str
    ) -> dict[str, Any] | Issues:
        try:
            kind: Any = type(value)
            written = writer(kind)(value)
        except Exception as error:  # noqa: BLE001  # a property or tzinfo of a user raises anything
            return Issues.one(path, f"a {self.name} that can be written", short(error))
        written |= {key: beside[key] for key in self._beside if key in beside}
        return self._check(written, path)

    def _check(self, data: object, path: str) -> dict[str, Any] | Issues:
        found = plain(data, path)
        if isinstance(found, Issues):
            return found
        if not isinstance(found, dict):
            return Issues.one(path, "an object", short(data))
        if self._known is not None:
            found = self._known.fill(found)
        if not self._validator.is_valid(found):
            return self._explain(found, path)
        return found if self._known is None else cast("dict[str, Any]", self._known.prune(found))

    def _explain(self, data: dict[str, Any], path: str) -> Issues:
        if len(orjson.dumps(data)) <= EXPLAINED_BYTES_MAX:
            return explain(self._validator.iter_errors(data), path)
        if b'"anyOf"' in self._exported or b'"oneOf"' in self._exported:
            return Issues.one(path, f"data that fits {self.name}", short(data))
        try:
            self._validator.validate(data)
        except ValidationError as error:
            return explain([error], path)
        return Issues.one(path, f"data that fits {self.name}", short(data))

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
        return Payload.of, (self.type, {key: properties[key] for key in self._beside})


@lru_cache(maxsize=CLASSES_MAX)
def _of_class(cls: type, beside: bytes) -> Payload[Any]:
    extra = orjson.loads(beside)
    schema = json_schema(cls)
    taken = [each.wire for each in fields_of(cls) if each.wire in extra]
    if taken:
        raise PayloadError(
            f"{cls.__name__}.{taken[0]}: the protocol has a key of this name: rename the field"
        )
    return _made(cls, cls.__name__, schema, extra, known=False)


@lru_cache(maxsize=CLASSES_MAX)
def _of_schema(text: bytes, beside: bytes) -> Payload[Any]:
    schema = orjson.loads(text)
    types = schema.get("type", "object")
    if not isinstance(types, str | list) or "object" not in types:
        raise PayloadError(
            f'schema: the data of an event is an object, and "type" here is {types!r}'
        )
    title = schema.get("title")
    return _made(
        None,
        title if isinstance(title, str) else "JSON Schema",
        schema,
        orjson.loads(beside),
        known=True,
    )


def _made(
    cls: type | None, name: str, schema: dict[str, Any], beside: dict[str, Any], *, known: bool
) -> Payload[Any]:
    if beside:
        _validator(schema, name)
        if not schema.keys() & _SHAPED:
            # An object of any keys stays one: only beside `properties` are others unknown.
            schema.setdefault("additionalProperties", True)
        required = [*schema.get("required", ()), *beside]
        schema["properties"] = schema.get("properties", {}) | beside
        schema["required"] = list(dict.fromkeys(required))
    compiled = _validator(schema, name)
    canonical = orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)
    return Payload(
        type=cls,
        name=name,
        exported=orjson.dumps(schema),
        canonical=canonical,
        beside=tuple(beside),
        validator=compiled,
        known=Known(schema) if known else None,
    )


_SHAPED = {"properties", "$ref", "allOf", "anyOf", "oneOf"}


def _validator(schema: dict[str, Any], name: str) -> Any:
    try:
        return validator(schema)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise PayloadError(f"{name}: not a JSON Schema: {reason}") from error


def _json(value: Mapping[str, Any], what: str) -> Any:
    found = plain(value, what)
    if isinstance(found, Issues):
        raise PayloadError(f"{what}: not a JSON Schema: {found}")
    return found

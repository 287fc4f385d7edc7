"""Payloads: Hypothesis strategies for the data of an event."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeVar, overload

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.converter import converter
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.fields import fields_of
from arvo.core.violations.issue import Issues
from arvo.testing.schemas.diagnosis import UndrawableSchema, inexpressible_part
from arvo.testing.schemas.json_values import json_values

T = TypeVar("T")

_CONDITIONS: Final = frozenset(
    {"allOf", "anyOf", "oneOf", "not", "if", "dependentSchemas", "dependencies", "$ref"}
    | {"patternProperties"}
)


@overload
def payloads(kind: type[T], **fields: SearchStrategy[Any]) -> SearchStrategy[T]: ...
@overload
def payloads(kind: Payload[T], **fields: SearchStrategy[Any]) -> SearchStrategy[T]: ...
@overload
def payloads(
    kind: Mapping[str, Any], **fields: SearchStrategy[Any]
) -> SearchStrategy[Mapping[str, Any]]: ...
def payloads(kind: Any, **fields: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Draw every value that an attrs class, a `Payload` or a JSON Schema allows, and no other.

    The constraints of the fields hold. Validators that the class defines itself hold too, by
    filtering. *fields* maps field names to strategies that replace the default ones.

    Raises TypeError for a field that the payload does not have, and `UndrawableSchema` for a
    pattern that Python cannot express or a reference to another document.

    >>> from attrs import frozen
    >>> from hypothesis import find
    >>> @frozen
    ... class Ping:
    ...     count: int
    >>> find(payloads(Ping), lambda ping: ping.count > 8)
    Ping(count=9)
    """
    payload = Payload.of(kind)
    if payload.members and not fields:
        return st.one_of(*map(payloads, payload.members))
    _check_field_names(payload, fields)
    values: SearchStrategy[Any] = _json_values(payload, fields)
    if fields:
        values = st.builds(
            _replace_fields, st.just(payload), values, st.fixed_dictionaries({**fields})
        )
    return values.map(partial(_read, payload)).filter(_is_valid)


def _read(payload: Payload[Any], data: Mapping[str, Any]) -> Any:
    """Read *data*, or return Issues, also if it is invalid without the keys that a reader drops."""
    value = payload.read(data)
    is_changed = not payload.types and not isinstance(value, Issues) and value != data
    return payload.read(value) if is_changed else value


def _json_values(payload: Payload[Any], fields: Mapping[str, object]) -> SearchStrategy[Any]:
    """Draw the JSON data of a payload; the values of *fields* are replaced and may be anything."""
    schema = payload.checked_schema
    if fields:
        # A constant, unless other keywords may have a say in the value.
        replaced: Any = True if schema.keys() & _CONDITIONS else {"const": None}
        schema["properties"] = {**schema["properties"], **dict.fromkeys(fields, replaced)}
    problem = inexpressible_part(schema)
    if problem is not None:
        remedy = "pass a strategy for the field: payloads(…, name=st.…) or events(…, name=st.…)"
        raise UndrawableSchema(f"{payload.name}: {problem}; remedy: {remedy}")
    return json_values(schema)


def faults() -> SearchStrategy[SystemFault]:
    """Draw the payloads of system errors: error names and messages of a failed service."""
    names = st.sampled_from(["Fail", "ValueError", "Cancelled"])
    return st.builds(
        SystemFault, errorName=names, errorMessage=st.sampled_from(["no", "not now", ""])
    )


def _is_valid(value: object) -> bool:
    return not isinstance(value, Issues)


def _replace_fields(
    payload: Payload[Any], data: Mapping[str, Any], fields: Mapping[str, Any]
) -> dict[str, Any]:
    kind: Any = payload.type
    if kind is None:
        return {**data, **fields}
    types = {declared.wire: declared.type for declared in fields_of(kind)}
    hook = converter().get_unstructure_hook
    return {**data, **{name: hook(types[name])(value) for name, value in fields.items()}}


def _check_field_names(payload: Payload[Any], fields: Mapping[str, object]) -> None:
    kind: Any = payload.type
    known = (
        payload.schema.get("properties", {})
        if kind is None
        else [declared.wire for declared in fields_of(kind)]
    )
    for name in fields:
        if name not in known:
            raise TypeError(f"{payload.name}: expected one of {', '.join(known)}, got {name!r}")

"""Payloads: Hypothesis strategies for the data of an event."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast, overload

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.events.protocol import SystemFault
from arvo.core.payloads.fields import fields_of
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.testing.strategies.json_values import json_values

T = TypeVar("T")


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

    Raises TypeError for a field that the payload does not have.

    >>> from attrs import frozen
    >>> from hypothesis import find
    >>> @frozen
    ... class Ping:
    ...     count: int
    >>> find(payloads(Ping), lambda ping: ping.count > 8)
    Ping(count=9)
    """
    payload = Payload.of(kind)
    values = json_values(payload.schema).map(payload.read).filter(_is_valid)
    if fields:
        _check_field_names(payload, fields)
        values = st.builds(
            _replace_fields, st.just(payload), values, st.fixed_dictionaries({**fields})
        )
        values = values.filter(_is_valid)
    return values


def faults() -> SearchStrategy[SystemFault]:
    """Draw the payloads of system errors: error names and messages of a failed service."""
    names = st.sampled_from(["Fail", "ValueError", "Cancelled"])
    return st.builds(
        SystemFault, errorName=names, errorMessage=st.sampled_from(["no", "not now", ""])
    )


def _is_valid(value: object) -> bool:
    return not isinstance(value, Issues)


def _replace_fields(payload: Payload[Any], value: Any, fields: Mapping[str, Any]) -> Any:
    if payload.type is None:
        return payload.read({**value, **fields})
    changed = attrs.evolve(value, **fields)
    written = payload.write(changed)
    return written if isinstance(written, Issues) else cast("Any", changed)


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

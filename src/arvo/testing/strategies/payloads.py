"""Payloads: whatever the data of an event may be."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast, overload

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from arvo.core.events.fault import SystemFault
from arvo.core.payloads.fields import fields_of
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues
from arvo.testing.strategies.json_values import values

T = TypeVar("T")


@overload
def payloads(kind: type[T], **known: SearchStrategy[Any]) -> SearchStrategy[T]: ...
@overload
def payloads(kind: Payload[T], **known: SearchStrategy[Any]) -> SearchStrategy[T]: ...
@overload
def payloads(
    kind: Mapping[str, Any], **known: SearchStrategy[Any]
) -> SearchStrategy[Mapping[str, Any]]: ...
def payloads(kind: Any, **known: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """Draw whatever an attrs class, a `Payload` or a JSON Schema allows, and nothing else.

    Constraints on the fields hold, and so do the class's own validators, by filtering. *known*
    gives strategies for single fields, by the names that the constructor takes.

    >>> from attrs import frozen
    >>> from hypothesis import find
    >>> @frozen
    ... class Ping:
    ...     count: int
    >>> find(payloads(Ping), lambda ping: ping.count > 8)
    Ping(count=9)
    """
    payload = Payload.of(kind)
    drawn = values(payload.schema).map(payload.read).filter(_fits)
    if known:
        _check_names(payload, known)
        drawn = st.builds(_changed, st.just(payload), drawn, st.fixed_dictionaries({**known}))
        drawn = drawn.filter(_fits)
    return drawn


def faults() -> SearchStrategy[SystemFault]:
    """Draw what a service says when it cannot: any name and message."""
    names = st.sampled_from(["Fail", "ValueError", "Cancelled"])
    return st.builds(
        SystemFault, errorName=names, errorMessage=st.sampled_from(["no", "not now", ""])
    )


def _fits(found: object) -> bool:
    return not isinstance(found, Issues)


def _changed(payload: Payload[Any], value: Any, known: Mapping[str, Any]) -> Any:
    if payload.type is None:
        return payload.read({**value, **known})
    changed = attrs.evolve(value, **known)
    written = payload.write(changed)
    return written if isinstance(written, Issues) else cast("Any", changed)


def _check_names(payload: Payload[Any], known: Mapping[str, object]) -> None:
    kind: Any = payload.type
    fields = (
        payload.schema.get("properties", {})
        if kind is None
        else [each.wire for each in fields_of(kind)]
    )
    for name in known:
        if name not in fields:
            raise TypeError(f"{payload.name}: expected one of {', '.join(fields)}, got {name!r}")

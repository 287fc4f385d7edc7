"""Context: how a machine's first context is made of the event that begins it, and its class."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, get_type_hints

import attrs
from attrs import frozen

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.payloads.fields import PayloadError, fields_of
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import freeze_object
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import ConfigViolation, Violated

# A chart's context: a value, or a function of the event that begins the workflow.
Given: TypeAlias = Any


@frozen
class Taken:
    """Makes a context of the fields that it shares with the payload of the first event.

    *names*: the keyword of its constructor for each field of the payload.
    """

    cls: type
    names: Mapping[str, str]

    def __call__(self, event: Event[Any]) -> Any:
        """Make the context of the event that begins the workflow (reference F142)."""
        data = event.data
        if isinstance(data, Mapping):
            given = {wire: data[name] for name, wire in self.names.items() if name in data}
        else:
            given = {wire: getattr(data, name) for name, wire in self.names.items()}
        return self.cls(**given)


@frozen
class Made:
    """Makes a context by a function; one that is a mapping cannot be changed in place."""

    function: Callable[[Any], Any]

    def __call__(self, event: Event[Any]) -> Any:
        """Make the context of the event that begins the workflow (reference F142)."""
        return _still(self.function(event))


def context_of(contract: VersionedContract[Any], given: Given) -> tuple[Given, Payload[Any] | None]:
    """Give a chart's context, and how a record holds it: None for plain JSON.

    *given* is a class whose fields the first event has (or that have defaults), a function of that
    event, or the context itself. Raises `Violated` where the context cannot be made or kept.
    """
    if isinstance(given, type):
        payload = _payload(contract, given)
        return Taken(given, _shared(contract, given)), payload
    if callable(given):
        kind = _returned(given)
        return Made(given), None if kind is None else _payload(contract, kind)
    if attrs.has(type(given)):
        return given, _payload(contract, type(given))
    return _still(given), None


def _still(context: Any) -> Any:
    # All workflows of a machine begin with one object: a function that changed it in place would
    # change it for all of them (B14).
    if not isinstance(context, Mapping):
        return context
    frozen_context = freeze_object(context, "context")
    if isinstance(frozen_context, Issues):
        raise Violated(ConfigViolation("this context cannot be kept", frozen_context))
    return frozen_context


def _payload(contract: VersionedContract[Any], kind: type) -> Payload[Any]:
    try:
        return Payload.of(kind)
    except PayloadError as refused:
        issue = Issue("context", "an attrs.frozen class", str(refused))
        message = f"{contract.dataschema} cannot remember this context"
        raise Violated(ConfigViolation(message, issue)) from None


def _shared(contract: VersionedContract[Any], cls: type) -> Mapping[str, str]:
    accepted = contract.accepted
    kind: Any = accepted.type
    if kind is not None:
        offered = sure = {field.name for field in fields_of(kind)}
    else:
        # A schema may say more than this by references; what it does not require may be missing.
        offered = set(accepted.schema.get("properties", {}))
        sure = set(accepted.schema.get("required", ()))
    fields = fields_of(cls)
    issues = tuple(
        Issue(f"context.{field.name}", f"a field that {accepted.name} surely has ({_ALSO})", "none")
        for field in fields
        if field.required and field.name not in sure
    )
    if issues:
        message = f"{contract.dataschema} cannot make {cls.__name__} of what begins it"
        raise Violated(ConfigViolation(message, issues))
    return FrozenDict({field.name: field.wire for field in fields if field.name in offered})


_ALSO: Final = "or a default, or context=a function of the first event"


def _returned(function: Callable[..., Any]) -> type | None:
    """Find the class that a function says it returns."""
    try:
        kind = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    return kind if isinstance(kind, type) and attrs.has(kind) else None

"""Context: the first context of a machine, made from the first event, and its class."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, get_type_hints

from attrs import frozen

from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.event import Event
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import freeze_object
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import PayloadError, class_of, type_name
from arvo.core.payloads.types.fields import fields_of
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import ConfigViolation, Violated

# A chart's context: a value, or a function of the workflow's first event.
Context: TypeAlias = Any


@frozen
class FromPayload:
    """Makes a context from the fields that it shares with the payload of the first event.

    *names*: the keyword of the context's constructor for each field of the payload.
    """

    make: Callable[..., Any]
    names: Mapping[str, str]

    def __call__(self, event: Event[Any]) -> Any:
        """Make the context of the workflow that *event* begins."""
        data = event.data
        if isinstance(data, Mapping):
            values = {it: data[name] for name, it in self.names.items() if name in data}
        else:
            values = {it: getattr(data, name) for name, it in self.names.items()}
        return self.make(**values)


@frozen
class FromFunction:
    """Makes a context by a function, and freezes one that is a mapping."""

    function: Callable[[Any], Any]

    def __call__(self, event: Event[Any]) -> Any:
        """Make the context of the workflow that *event* begins."""
        return _freeze(self.function(event))


def read_context(
    contract: VersionedContract[Any], context: Context
) -> tuple[Context, Payload[Any] | None]:
    """Return a chart's context, and its payload in a record, which is None for plain JSON.

    *context* is a class whose fields the first event has (or that have defaults), a function of
    that event, or the context itself. Raises `Violated` if the context cannot be made or stored.
    """
    if isinstance(context, type) or is_payload_class(context):
        payload = _payload(contract, context)
        return FromPayload(class_of(context), _shared_fields(contract, context)), payload
    if callable(context):
        kind = _return_type(context)
        return FromFunction(context), None if kind is None else _payload(contract, kind)
    if is_payload_class(type(context)):
        return context, _payload(contract, type(context))
    return _freeze(context), None


def _freeze(context: Any) -> Any:
    # All workflows of a machine begin with one object: a function that changed it in place would
    # change it for all of them.
    if not isinstance(context, Mapping):
        return context
    frozen_context = freeze_object(context, "context")
    if isinstance(frozen_context, Issues):
        raise Violated(ConfigViolation("the context is not JSON data", frozen_context))
    return frozen_context


def _payload(contract: VersionedContract[Any], kind: Any) -> Payload[Any]:
    try:
        return Payload.of(kind)
    except PayloadError as error:
        expected = "a payload class whose fields are JSON data"
        issue = Issue("context", expected, f"{type_name(kind)} ({error})")
        message = f"the context of {contract.dataschema} cannot be stored"
        raise Violated(ConfigViolation(message, issue)) from None


def _shared_fields(contract: VersionedContract[Any], cls: Any) -> Mapping[str, str]:
    accepted = contract.accepted
    kind: Any = accepted.type
    if kind is not None:
        offered = required = {field.name for field in fields_of(kind)}
    else:
        # A schema may have more properties by references; those it does not require may be
        # missing.
        offered = set(accepted.schema.get("properties", {}))
        required = set(accepted.schema.get("required", ()))
    fields = fields_of(cls)
    issues = tuple(
        Issue(
            f"context.{field.name}",
            f"a field that {accepted.name} always has ({_ALTERNATIVES})",
            "none",
        )
        for field in fields
        if field.required and field.name not in required
    )
    if issues:
        message = f"{type_name(cls)} cannot be made from the first event of {contract.dataschema}"
        raise Violated(ConfigViolation(message, issues))
    return FrozenDict({field.name: field.argument for field in fields if field.name in offered})


_ALTERNATIVES: Final = "or a default, or context=a function of the first event"


def _return_type(function: Callable[..., Any]) -> Any | None:
    """Return the payload class that a function is annotated to return, or None."""
    try:
        kind = get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    return kind if is_payload_class(kind) else None

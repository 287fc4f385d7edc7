"""Attributes: those of a span, for the event of a message and for its handler."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, final

import orjson
from attrs import define, field
from opentelemetry.util.types import AttributeValue

from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.violations.violation import Violated
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.resumable import Resumable
from arvo.telemetry.conventions import names
from arvo.telemetry.logs.failures import report_argument

Attributes: TypeAlias = dict[str, AttributeValue]
# Returns further attributes for the spans of an event.
AttributesOf: TypeAlias = Callable[[Event[Any]], Mapping[str, AttributeValue]]
# Returns who acts: the name of an operator, None if it is not known.
EndUser: TypeAlias = Callable[[], str | None]
# Returns the data of an event as a span may show it.
Redact: TypeAlias = Callable[[Event[Any]], object]

# The data of an event on a span.
DATA_BYTES_MAX: Final = 8_192
# Events that a span describes in full: it has 128 attributes at most.
EMITTED_MAX: Final = 4
# The active states of a machine on a span.
STATE_CHARACTERS_MAX: Final = 200


@final
@define(eq=False)
class Describe:
    """Describes the messages of a *system* on a messaging system: `kafka`, `arvo.sqlite`.

    *more*: further attributes of a user. *redact*: the data to show; None: none. *reference*:
    whether to set the attributes that the TypeScript packages set, with `N/A` for missing values.
    """

    system: System
    messaging_system: str
    more: AttributesOf | None = None
    redact: Redact | None = None
    reference: bool = False
    _destinations: dict[tuple[str, str], Attributes] = field(factory=dict, init=False)
    _handlers: dict[str, Attributes] = field(factory=dict, init=False)

    def begin(self, operation: str, destination: str, event: Event[Any]) -> Attributes:
        """Return the attributes that a sampler sees."""
        known = self._destinations.get((operation, destination))
        if known is None:
            known = {
                names.SYSTEM: self.messaging_system,
                names.OPERATION: operation,
                names.OPERATION_TYPE: _OPERATION_TYPES.get(operation, operation),
                names.DESTINATION: destination,
            }
            # Callers are not bounded by the system.
            if operation != "answer":
                self._destinations[operation, destination] = known
        return {**known, names.CONVERSATION_ID: event.subject}

    def message(self, event: Event[Any]) -> Attributes:
        """Return the other attributes of an event, those of its handler included."""
        attributes: Attributes = {
            names.MESSAGE_ID: event.id,
            names.BODY_SIZE: len(orjson.dumps(event.raw)),
            names.EVENT_ID: event.id,
            names.EVENT_SOURCE: event.source,
            names.EVENT_SPEC_VERSION: event.specversion,
            names.EVENT_SUBJECT: event.subject,
            names.EVENT_TYPE: event.type,
            names.EVENT_TIME: event.time,
            names.EVENT_CONTENT_TYPE: event.datacontenttype,
        }
        if id_ := workflow_id_of(event.subject):
            # Also of an event for a service: people search by it.
            attributes[names.WORKFLOW_ID] = id_
        # Not `N/A` for those that are missing, as the TypeScript packages have it.
        for name, value in (
            (names.EVENT_DATASCHEMA, event.dataschema),
            (names.EVENT_TO, event.to),
            (names.EVENT_REDIRECT_TO, event.redirectto),
            (names.EVENT_UNITS, event.executionunits),
            (names.EVENT_PARENT, event.parentid),
            (names.EVENT_DOMAIN, event.domain),
        ):
            if value is not None:
                attributes[name] = value
        if self.reference:
            attributes |= event.otel_attributes
        if self.redact is not None:
            attributes[names.EVENT_DATA] = self._data(event)
        if self.more is not None:
            attributes |= self._further(event)
        return attributes

    def add_handler(self, attributes: Attributes, address: str, event: Event[Any]) -> None:
        """Add the attributes of the handler of an event."""
        known = self._handlers.get(address)
        if known is None:
            known = self._handlers[address] = self._describe_handler(address)
        attributes.update(known)
        if self.reference:
            attributes.update(_prefixed("consumable.0", event))
        if event.dataschema is not None:
            attributes[names.CONTRACT_VERSION] = event.dataschema.rpartition("/")[2]
        if names.WORKFLOW_TYPE in known:
            attributes[names.WORKFLOW_SUBJECT] = event.subject
            try:
                process = Subject.parse(event.subject).orchestrator
            except Violated:
                return
            attributes[names.PARSED_NAME] = process.name
            attributes[names.PARSED_VERSION] = process.version

    def emitted(self, events: Sequence[Event[Any]]) -> Attributes:
        """Return the attributes of the events that a turn emits, as the TypeScript packages do."""
        attributes: Attributes = {}
        if self.reference:
            for number, event in enumerate(events[:EMITTED_MAX]):
                attributes |= _prefixed(f"emittables.{number}", event)
        return attributes

    def failed(self, fault: SystemFault) -> Attributes:
        """Return the attributes of a failure, as the TypeScript packages have them."""
        if not self.reference:
            return {}
        return {names.EXCEPTION_TYPE: fault.name, names.EXCEPTION_MESSAGE: fault.message}

    def _describe_handler(self, address: str) -> Attributes:
        handler = self.system.handler_at(address)
        if handler is None:
            return {}
        attributes: Attributes = {
            names.HANDLER: handler.source,
            names.CONTRACT_URI: handler.contract.uri,
            names.OPENINFERENCE_KIND: "CHAIN",
        }
        match handler:
            case EventHandler():
                kind, execution = "handler.simple", "handler"
            case Orchestrator():
                kind, execution = "handler.orchestrator.statemachine", "orchestrator"
            case Resumable() | FlowHandler():
                kind, execution = "handler.orchestrator.imperative", "resumable"
        attributes[names.SPAN_KIND] = kind
        attributes[names.EXECUTION_TYPE] = execution
        if not isinstance(handler, EventHandler):
            attributes[names.WORKFLOW_TYPE] = handler.source
        return attributes

    def _data(self, event: Event[Any]) -> str:
        assert self.redact is not None
        try:
            text = orjson.dumps(self.redact(event), default=repr)
        except BaseException as error:  # noqa: BLE001 - code of the user, and telemetry never raises
            return report_argument("payloads", error)
        return text[:DATA_BYTES_MAX].decode(errors="ignore")

    def _further(self, event: Event[Any]) -> Mapping[str, AttributeValue]:
        assert self.more is not None
        try:
            return dict(self.more(event))
        except BaseException as error:  # noqa: BLE001 - code of the user, and telemetry never raises
            report_argument("attributes", error)
            return {}


def workflow_attributes(subject: str) -> Attributes:
    """Return by what people and programs find a workflow: its subject, and its id if it has one."""
    attributes: Attributes = {names.WORKFLOW_SUBJECT: subject}
    if id_ := workflow_id_of(subject):
        attributes[names.WORKFLOW_ID] = id_
    return attributes


def _prefixed(prefix: str, event: Event[Any]) -> Attributes:
    return {f"{prefix}.{name}": value for name, value in event.otel_attributes.items()}


# What the semantic conventions group operations by.
_OPERATION_TYPES: Final = {"answer": "process", "leave": "send"}


def state_text(state: Any) -> str | None:
    """Return the active states of a machine, as its record holds them; None for other records."""
    value = state.get("value") if isinstance(state, Mapping) else None
    if value is None:
        return None
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text[:STATE_CHARACTERS_MAX]

"""Admit: find the contract that an event was made by, and read its payload."""

from collections.abc import Iterator
from typing import Any, final

from attrs import frozen

from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.cancellation import CANCELLATION, cancel_type
from arvo.core.events.dataschema import WILDCARD, Dataschema
from arvo.core.events.event import Event
from arvo.core.events.fault import FAULT
from arvo.core.events.protocol import TIMER_FIRED, timer_event_type
from arvo.core.events.subject import Subject
from arvo.core.payloads.json import frozen_json
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    Violated,
    Violation,
)
from arvo.engine.system.system import Handler, System, WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.services import answering


@final
@frozen
class Admitted:
    """An event that its contract has read: *event* carries the payload of its class."""

    event: Event[Any]
    contract: VersionedContract[Any]


def admit(system: System, event: Event[Any]) -> Handler | Violation:
    """Find who answers *event*, or say that nobody has its address."""
    handler = system.handler_at(event.to)
    if handler is not None:
        return handler
    known = ", ".join(system.addresses) or "none"
    issue = Issue("to", f"the address of a handler ({known})", repr(event.to))
    return ConfigViolation(f"nobody answers {_named(event)}", issue)


def admit_event(handler: EventHandler[Any], event: Event[Any]) -> Admitted | Violation:
    """Read an event for a handler of single events (reference F089, in its order)."""
    contract = handler.contract
    if event.type != contract.type:
        issue = Issue("type", contract.type, repr(event.type))
        return ConfigViolation(f"{_named(event)} is not for {contract.uri}", issue)
    schema = Dataschema.parse(event.dataschema)
    if schema is not None and schema.uri != contract.uri:
        issue = Issue("dataschema", contract.uri, repr(event.dataschema))
        return ContractViolation(f"{_named(event)} was made by another contract", issue)
    # An event that names no version is taken for one of the latest (F089).
    version = contract.version("latest").version if schema is None else schema.version
    if version not in contract.versions:
        return _no_version(event, contract, version)
    versioned = contract.versions[version]
    return _read(event, versioned, versioned.accepted)


def admit_subject(event: Event[Any]) -> Subject | Violation:
    """Read which run of which workflow an event belongs to (F111)."""
    try:
        return Subject.parse(event.subject)
    except Violated as violated:
        return ExecutionViolation(
            f"the subject of {_named(event)} names no workflow", violated.violation.issues
        )


def admit_version(handler: WorkflowHandler, version: str) -> ConfigViolation | None:
    """Let a version of a workflow pass that its handler has."""
    if version in handler.versions:
        return None
    issue = Issue("subject.orchestrator.version", ", ".join(handler.versions), version)
    return ConfigViolation(f"{handler.source} has no such version", issue)


def admit_turn(handler: WorkflowHandler, version: str, event: Event[Any]) -> Admitted | Violation:
    """Read an event for a workflow: the one that begins it, a reply, a signal, or one that the
    system itself sends (F124, F125).
    """
    schema = Dataschema.parse(event.dataschema)
    if schema is None:
        issue = Issue("dataschema", "{contract uri}/{version}", repr(event.dataschema))
        return ContractViolation(f"{_named(event)} names no contract", issue)
    if event.type == handler.source:
        return _admit_init(handler.contract, event, schema)
    if event.type == timer_event_type(handler.source):
        return _admit_own(handler, event, schema, TIMER_FIRED)
    if event.type == cancel_type(handler.source):
        return _admit_own(handler, event, schema, CANCELLATION)
    for signal in handler.signals_of(version):
        if signal.type == event.type:
            return _admit_signal(signal, event, schema)
    return _admit_reply(handler, version, event, schema)


def admit_made(system: System, event: Event[Any]) -> Event[Any]:
    """Read the payload of an event that a handler here has made, by the contract it was made by.

    For those who are handed what leaves or goes home. What no contract here knows stays as it came:
    JSON.
    """
    handler, schema = system.handler_at(event.source), Dataschema.parse(event.dataschema)
    if handler is None or schema is None:
        return event
    for contract, payload in _made(handler, event, schema):
        read = _read(event, contract, payload)
        return read.event if isinstance(read, Admitted) else event
    return event


def _made(
    handler: Handler, event: Event[Any], schema: Dataschema
) -> Iterator[tuple[VersionedContract[Any], Payload[Any]]]:
    """Give the contract by which a handler made an event, and what it says of its payload."""
    own = handler.contract
    if schema.uri == own.uri:
        contract = own.versions.get(schema.version) or own.version("latest")
        if event.type == contract.system_error_type:
            yield contract, FAULT
        elif event.type in contract.emitted:
            yield contract, contract.emitted[event.type]
    elif not isinstance(handler, EventHandler):
        for version in handler.versions:
            for service in handler.services_of(version):
                if service.type == event.type and service.dataschema == event.dataschema:
                    yield service, service.accepted


def _admit_init(
    contract: Contract[Any], event: Event[Any], schema: Dataschema
) -> Admitted | Violation:
    if schema.uri != contract.uri or schema.version not in contract.versions:
        known = ", ".join(f"{contract.uri}/{version}" for version in contract.sorted_versions)
        issue = Issue("dataschema", f"one of {known}", repr(event.dataschema))
        return ContractViolation(f"{_named(event)} does not begin this workflow", issue)
    versioned = contract.versions[schema.version]
    return _read(event, versioned, versioned.accepted)


def _admit_own(
    handler: WorkflowHandler, event: Event[Any], schema: Dataschema, payload: Payload[Any]
) -> Admitted | Violation:
    contract = handler.contract
    if schema != Dataschema(contract.uri, WILDCARD):
        issue = Issue("dataschema", f"{contract.uri}/{WILDCARD}", repr(event.dataschema))
        return ContractViolation(f"{_named(event)} is not of this workflow", issue)
    return _read(event, contract.version("latest"), payload)


def _admit_signal(
    signal: VersionedContract[Any], event: Event[Any], schema: Dataschema
) -> Admitted | Violation:
    if schema != Dataschema(signal.uri, signal.version):
        issue = Issue("dataschema", signal.dataschema, repr(event.dataschema))
        return ContractViolation(f"{_named(event)} was made by another contract", issue)
    return _read(event, signal, signal.accepted)


def _admit_reply(
    handler: WorkflowHandler, version: str, event: Event[Any], schema: Dataschema
) -> Admitted | Violation:
    services = handler.services_of(version)
    candidates = answering(services, event.type)
    if not candidates:
        known = ", ".join(service.type for service in services) or "none"
        issue = Issue("type", f"an answer of a service ({known})", repr(event.type))
        return ConfigViolation(f"{handler.source} does not know {_named(event)}", issue)
    service = next((each for each in candidates if each.uri == schema.uri), None)
    if service is None or schema.version not in (service.version, WILDCARD):
        known = ", ".join(each.dataschema for each in candidates)
        issue = Issue("dataschema", f"one of {known}", repr(event.dataschema))
        return ContractViolation(f"{_named(event)} was made by another contract", issue)
    if event.type == service.system_error_type:
        return _read(event, service, FAULT)
    return _read(event, service, service.emitted[event.type])


def _read(
    event: Event[Any], contract: VersionedContract[Any], payload: Payload[Any]
) -> Admitted | Violation:
    # Read anew even where the event was made here and carries its payload: that object is the
    # sender's, and a list in it could change behind the receiver's back (B30).
    data = payload.read(event.raw)
    if isinstance(data, Issues):
        message = f"{_named(event)} does not fit {contract.dataschema}"
        return ContractViolation(message, data)
    if payload.type is None:
        data = frozen_json(data)
    return Admitted(event.carrying(data, event.raw), contract)


def _no_version(event: Event[Any], contract: Contract[Any], version: str) -> Violation:
    known = ", ".join(contract.sorted_versions)
    issue = Issue("dataschema", f"a version that is handled ({known})", repr(version))
    return ConfigViolation(f"{_named(event)} is of a version nobody handles", issue)


def _named(event: Event[Any]) -> str:
    return f"event {event.id!r} ({event.type})"[:200]

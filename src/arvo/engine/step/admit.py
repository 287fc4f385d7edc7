"""Admit: find the handler and the contract of an event, and read its payload."""

from collections.abc import Iterator
from typing import Any, final

from attrs import define

from arvo.core.contracts.check import is_orchestrator_type
from arvo.core.contracts.contract import Contract
from arvo.core.contracts.versioned import VersionedContract
from arvo.core.events.dataschema import WILDCARD, Dataschema
from arvo.core.events.event import Event
from arvo.core.events.protocol import (
    CANCELLATION,
    FAULT,
    FORK,
    TIMER_FIRED,
    cancel_type,
    fork_type,
    timer_event_type,
)
from arvo.core.events.subject import Subject
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    Violated,
    Violation,
)
from arvo.engine.system.handler import Handler, WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.handlers.event_handler import EventHandler


@final
@define
class Admitted:
    """An event with its contract: the data of *event* is an instance of the payload class."""

    event: Event[Any]
    contract: VersionedContract[Any]


def admit(system: System, event: Event[Any]) -> Handler | Violation:
    """Find the handler at the address of *event*; a violation if there is none."""
    handler = system.handler_at(event.to)
    if handler is not None:
        return handler
    known = ", ".join(system.addresses) or "none"
    issue = Issue("to", f"the address of a handler ({known})", repr(event.to))
    return ConfigViolation(f"no handler answers {describe_event(event)}", issue)


def admit_event(handler: EventHandler[Any], event: Event[Any]) -> Admitted | Violation:
    """Read an event for an event handler.

    The checks are those of the TypeScript package, in its order: event type, contract, version,
    payload.
    """
    contract = handler.contract
    schema = _read_dataschema(event, contract)
    if isinstance(schema, ConfigViolation | ContractViolation):
        return schema
    # An event that names no version is read as the latest version.
    version = contract.version("latest").version if schema is None else schema.version
    if version not in contract.versions:
        return _unknown_version(event, contract, version)
    versioned = contract.versions[version]
    return _read(event, versioned, versioned.accepted)


def _read_dataschema(
    event: Event[Any], contract: Contract[Any] | VersionedContract[Any]
) -> Dataschema | ConfigViolation | ContractViolation | None:
    """Return the dataschema of an event, or why the event is not for *contract*."""
    if event.type != contract.type:
        issue = Issue("type", contract.type, repr(event.type))
        return ConfigViolation(f"{describe_event(event)} is not for {contract.uri}", issue)
    schema = Dataschema.parse(event.dataschema)
    if schema is not None and schema.uri != contract.uri:
        issue = Issue("dataschema", contract.uri, repr(event.dataschema))
        return ContractViolation(f"{describe_event(event)} belongs to another contract", issue)
    return schema


def admit_subject(event: Event[Any]) -> Subject | Violation:
    """Read the subject of a workflow's event: the workflow, and the run of it."""
    try:
        return Subject.parse(event.subject)
    except Violated as violated:
        return ExecutionViolation(
            f"the subject of {describe_event(event)} names no workflow", violated.violation.issues
        )


def admit_version(handler: WorkflowHandler, version: str) -> ConfigViolation | None:
    """Return a violation if the handler does not implement *version*."""
    if version in handler.versions:
        return None
    issue = Issue("subject.orchestrator.version", ", ".join(handler.versions), version)
    return ConfigViolation(f"{handler.source} has no such version", issue)


def check_remote(system: System, event: Event[Any]) -> Violation | None:
    """Return why the handler of another process will refuse *event*, or None.

    Only the versions in `System.remote` are known. An event of another version passes, because the
    other process may be newer, and so does a signal or a reply for a workflow.
    """
    listed = {it.dataschema: it for it in system.remote if it.type == event.to}
    contract = next(iter(listed.values()))
    if event.type != contract.type and is_orchestrator_type(contract.type):
        return None
    schema = _read_dataschema(event, contract)
    if isinstance(schema, ConfigViolation | ContractViolation):
        return schema
    known = listed.get(event.dataschema or "")
    admitted = None if known is None else _read(event, known, known.accepted)
    return None if admitted is None or isinstance(admitted, Admitted) else admitted


def admit_turn(handler: WorkflowHandler, version: str, event: Event[Any]) -> Admitted | Violation:
    """Read an event for a workflow.

    It is the event that starts the workflow, a reply, a signal, a timer, a cancellation or a fork.
    """
    starts = event.type == handler.source
    reply = handler.services_of(version).reply_of.get((event.type, event.dataschema))
    if reply is not None and not starts:
        return _read(event, *reply)
    schema = Dataschema.parse(event.dataschema)
    if schema is None:
        issue = Issue("dataschema", "{contract uri}/{version}", repr(event.dataschema))
        return ContractViolation(f"{describe_event(event)} names no contract", issue)
    if starts:
        return _admit_init(handler.contract, event, schema, version)
    if event.type == timer_event_type(handler.source):
        return _admit_own(handler, event, schema, TIMER_FIRED)
    if event.type == cancel_type(handler.source):
        return _admit_own(handler, event, schema, CANCELLATION)
    if event.type == fork_type(handler.source):
        return _admit_own(handler, event, schema, FORK)
    signal = handler.signals_of(version).by_type.get(event.type)
    if signal is not None:
        return _admit_signal(signal, event, schema)
    return _admit_reply(handler, version, event, schema)


def is_signal(handler: WorkflowHandler, version: str, event: Event[Any]) -> bool:
    """Return whether *event* has the type of a signal of *version*."""
    return event.type in handler.signals_of(version).by_type


def admit_emitted(system: System, event: Event[Any]) -> Event[Any]:
    """Read the payload of an event that a handler of this system emitted, here or elsewhere.

    For listeners and callers, who get the events that leave the system. An event of an unknown
    contract is returned unchanged, with JSON as its data.
    """
    for contract, payload in _contracts_of(system, event):
        admitted = _read(event, contract, payload)
        return admitted.event if isinstance(admitted, Admitted) else event
    return event


def check_emitted(system: System, event: Event[Any]) -> Violation | None:
    """Return why an event is none that a handler of this system emits to the outside, or None."""
    for contract, payload in _contracts_of(system, event):
        admitted = _read(event, contract, payload)
        return None if isinstance(admitted, Admitted) else admitted
    issue = Issue("dataschema", "a contract of this system", repr(event.dataschema))
    return ConfigViolation(f"{describe_event(event)} has no contract here", issue)


def _contracts_of(
    system: System, event: Event[Any]
) -> Iterator[tuple[VersionedContract[Any], Payload[Any]]]:
    """Yield the contracts by which an event may have been emitted, each with the payload."""
    handler, schema = system.handler_at(event.source), Dataschema.parse(event.dataschema)
    if schema is None:
        return
    if handler is not None:
        yield from _emitted_contracts(handler, event, schema)
        return
    for contract in system.remote:
        if contract.type != event.source or contract.uri != schema.uri:
            continue
        if event.type == contract.system_error_type:
            yield contract, FAULT
        elif event.type in contract.emitted and schema.version in (contract.version, WILDCARD):
            yield contract, contract.emitted[event.type]


def _emitted_contracts(
    handler: Handler, event: Event[Any], schema: Dataschema
) -> Iterator[tuple[VersionedContract[Any], Payload[Any]]]:
    """Yield the contracts by which a handler may have emitted an event, each with the payload."""
    own = handler.contract
    if schema.uri == own.uri:
        contract = own.versions.get(schema.version) or own.version("latest")
        if event.type == contract.system_error_type:
            yield contract, FAULT
        elif event.type in contract.emitted:
            yield contract, contract.emitted[event.type]
    elif is_workflow(handler):
        for version in handler.versions:
            for service in handler.services_of(version):
                if service.type == event.type and service.dataschema == event.dataschema:
                    yield service, service.accepted
            for signal in handler.signals_of(version).by_answer.get(event.type, ()):
                if event.type in signal.emitted and signal.dataschema == event.dataschema:
                    yield signal, signal.emitted[event.type]


def _admit_init(
    contract: Contract[Any], event: Event[Any], schema: Dataschema, version: str
) -> Admitted | Violation:
    # The wildcard names no version: that of the workflow's subject counts.
    number = version if schema.version == WILDCARD else schema.version
    if schema.uri != contract.uri or number not in contract.versions:
        known = ", ".join(f"{contract.uri}/{version}" for version in contract.sorted_versions)
        issue = Issue("dataschema", f"one of {known}", repr(event.dataschema))
        return ContractViolation(f"{describe_event(event)} does not start this workflow", issue)
    versioned = contract.versions[number]
    return _read(event, versioned, versioned.accepted)


def _admit_own(
    handler: WorkflowHandler, event: Event[Any], schema: Dataschema, payload: Payload[Any]
) -> Admitted | Violation:
    contract = handler.contract
    if schema != Dataschema(contract.uri, WILDCARD):
        issue = Issue("dataschema", f"{contract.uri}/{WILDCARD}", repr(event.dataschema))
        return ContractViolation(f"{describe_event(event)} belongs to another workflow", issue)
    return _read(event, contract.version("latest"), payload)


def _admit_signal(
    signal: VersionedContract[Any], event: Event[Any], schema: Dataschema
) -> Admitted | Violation:
    if schema != Dataschema(signal.uri, signal.version):
        issue = Issue("dataschema", signal.dataschema, repr(event.dataschema))
        return ContractViolation(f"{describe_event(event)} belongs to another contract", issue)
    return _read(event, signal, signal.accepted)


def _admit_reply(
    handler: WorkflowHandler, version: str, event: Event[Any], schema: Dataschema
) -> Admitted | Violation:
    services = handler.services_of(version)
    candidates = services.by_answer.get(event.type, ())
    if not candidates:
        known = ", ".join(service.type for service in services) or "none"
        issue = Issue("type", f"a reply of a service ({known})", repr(event.type))
        return ConfigViolation(f"{handler.source} does not expect {describe_event(event)}", issue)
    service = next((service for service in candidates if service.uri == schema.uri), None)
    if service is None or schema.version not in (service.version, WILDCARD):
        known = ", ".join(service.dataschema for service in candidates)
        issue = Issue("dataschema", f"one of {known}", repr(event.dataschema))
        return ContractViolation(f"{describe_event(event)} belongs to another contract", issue)
    if event.type == service.system_error_type:
        return _read(event, service, FAULT)
    return _read(event, service, service.emitted[event.type])


def _read(
    event: Event[Any], contract: VersionedContract[Any], payload: Payload[Any]
) -> Admitted | Violation:
    # Read again even where the event already carries an instance: that object belongs to the
    # sender, which could still change a list in it.
    raw = event.raw
    data = payload.read(raw)
    if isinstance(data, Issues):
        message = f"{describe_event(event)} does not fit {contract.dataschema}"
        return ContractViolation(message, data)
    if not payload.types:
        data = freeze_unchecked(data)
    return Admitted(event.with_payload(data, raw), contract)


def _unknown_version(event: Event[Any], contract: Contract[Any], version: str) -> Violation:
    known = ", ".join(contract.sorted_versions)
    issue = Issue("dataschema", f"a version that its handler implements ({known})", repr(version))
    message = f"{describe_event(event)} has a version that its handler does not implement"
    return ConfigViolation(message, issue)


def describe_event(event: Event[Any]) -> str:
    """Return the id and type of an event for a message, cut to a bounded length."""
    return f"event {event.id!r} ({event.type})"[:200]

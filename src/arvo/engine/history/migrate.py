"""Migrate: move an active workflow to another version of its contract."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import evolve
from returns.result import Failure, Result, Success

from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import Json, freeze, freeze_unchecked
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.compensation import unsupported_compensations
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.labels import labels_of
from arvo.engine.system.system import Owner, System, find_workflow
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.flow.replay import replay_flow
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.machine.persistence import rehash_snapshot
from arvo.handlers.resumable import Resumable

_VIOLATIONS: Final = (
    ContractViolation,
    ConfigViolation,
    ExecutionViolation,
    TransactionViolation,
)


def migrate(
    owner: Owner,
    record: Record,
    *,
    to: str,
    state: Callable[[Any], Any] | None = None,
) -> Result[Record, Violation]:
    """Return the record of a workflow, moved to another version of its contract.

    *owner*: the workflow's handler, or the system that contains it. A system also checks whether
    the parent workflow accepts the completion of the new version. *state* maps the state of the old
    version, as JSON, to that of the new one (JSON, or an instance of its class); it is not called
    where there is no state. Pure: only the returned record is new, with the next revision. A record
    that is on the version already, without *state*, is returned unchanged.

    A violation is returned for a workflow that has ended, for a version that the handler lacks, for
    a state or a compensation that does not fit the new version, and for a workflow that waits for a
    reply which the new version does not accept. The record does not show which service it waits
    for, so while any request is pending the new version needs every service of the old one.
    """
    moved = migrate_plain(owner, record, to=to, state=state)
    return Success(moved) if isinstance(moved, Record) else Failure(moved)


def migrate_plain(
    owner: Owner, record: Record, *, to: str, state: Callable[[Any], Any] | None = None
) -> Record | Violation:
    """Move a record and return a plain union: the form of `migrate` that interpreters use."""
    handler = find_workflow(owner, record)
    if isinstance(handler, ConfigViolation):
        return handler
    if record.status != "active":
        issue = Issue("record.status", "active", record.status)
        return ExecutionViolation(f"this run of {handler.source} has ended", issue)
    if to not in handler.versions:
        issue = Issue("to", f"one of {', '.join(handler.versions)}", short_repr(to))
        return ConfigViolation(f"{handler.source} has no such version", issue)
    if to == record.version and state is None:
        return record
    mapped = _map_state(record, state)
    if isinstance(mapped, _VIOLATIONS):
        return mapped
    converted = _convert_state(handler, record, to, mapped, is_mapped=state is not None)
    if isinstance(converted, Issues):
        message = f"{handler.source} {to} cannot read the stored state"
        return ExecutionViolation(message, converted)
    obstacles = tuple(_obstacles(owner, handler, record, to))
    if obstacles:
        return ConfigViolation(f"{handler.source} cannot continue in version {to}", obstacles)
    moved = evolve(record, version=to, state=converted)
    labels = labels_of(handler, moved)
    if isinstance(labels, _VIOLATIONS):
        return labels
    moved = evolve(moved, labels=labels)
    # The next revision: a turn that was decided on the old version must not be committed any more.
    return record if moved == record else evolve(moved, revision=record.revision + 1)


def _map_state(record: Record, state: Callable[[Any], Any] | None) -> Any:
    """Call the author's function for the new state; return a violation if it raises."""
    if state is None or record.state is None:
        return record.state
    try:
        return state(record.state)
    except Violated as violated:
        return violated.violation
    except Exception as error:  # noqa: BLE001 - one bad record of many must not stop the others
        issue = Issue("state", "a function that maps this state", short_repr(error))
        return ExecutionViolation("the state cannot be mapped", issue)


def _convert_state(
    handler: WorkflowHandler, record: Record, to: str, state: Any, *, is_mapped: bool
) -> Json | Issues:
    """Return the state as the new version stores it, or why that version cannot read it."""
    match handler:
        case Resumable():
            return _convert_resumable(handler, state, is_mapped=is_mapped)
        case Orchestrator():
            return _convert_orchestrator(handler, record, to, state)
        case FlowHandler():
            return _convert_flow(handler, record, to, is_mapped=is_mapped)


def _convert_resumable(handler: Resumable[Any], state: Any, *, is_mapped: bool) -> Json | Issues:
    payload = handler.state
    if state is None or payload is None:
        return freeze(state, "state")
    json = payload.write(state, path="state") if is_mapped else state
    if isinstance(json, Issues):
        return json
    instance = payload.read(json, "state")
    return instance if isinstance(instance, Issues) else freeze_unchecked(json)


def _convert_orchestrator(
    handler: Orchestrator[Any], record: Record, to: str, state: Any
) -> Json | Issues:
    """Load the snapshot into the chart of the new version, which must have all its states."""
    json = freeze(state, "state")
    if isinstance(json, Issues):
        return json
    snapshot = rehash_snapshot(handler.machines[to], evolve(record, state=json))
    return snapshot if isinstance(snapshot, FrozenDict) else Issues(snapshot.issues)


def _convert_flow(
    handler: FlowHandler[Any, Any], record: Record, to: str, *, is_mapped: bool
) -> Json | Issues:
    """Replay the journal in the new version, which must reach the same pending operations."""
    if is_mapped:
        expected = "no function: the variables of a flow follow from its journal"
        return Issues.one("state", expected, "a function")
    try:
        replay_flow(
            handler.contract, handler.flow_versions[to], evolve(record, version=to)
        ).scheduler.close()
    except Violated as violated:
        return Issues(violated.violation.issues)
    return record.state


def _obstacles(owner: Owner, handler: WorkflowHandler, record: Record, to: str) -> Iterator[Issue]:
    """Yield an issue for each message that the workflow may get or send and the version lacks."""
    if to == record.version:
        return
    known = {(service.uri, service.version) for service in handler.services_of(to)}
    if record.unanswered and record.version not in handler.versions:
        expected = f"one of {', '.join(handler.versions)}, while requests are pending"
        yield Issue("record.version", expected, short_repr(record.version))
    elif record.unanswered:
        for service in handler.services_of(record.version):
            if (service.uri, service.version) not in known:
                expected = f"{service.dataschema}, whose reply may be pending"
                yield Issue(f"services of {to}", expected, "no such service")
    yield from unsupported_compensations(handler, to, record)
    if isinstance(owner, System):
        yield from _unknown_completion(owner, handler, record, to)


def _unknown_completion(
    system: System, handler: WorkflowHandler, record: Record, to: str
) -> Iterator[Issue]:
    """Yield an issue if the parent, in the version of its subject, lacks the completion."""
    if record.parent is None:
        return
    try:
        process = Subject.parse(record.parent).orchestrator
    except Violated:
        return
    parent = system.handler_at(process.name)
    if not is_workflow(parent) or process.version not in parent.versions:
        return
    services = {(service.uri, service.version) for service in parent.services_of(process.version)}
    if (handler.contract.uri, to) not in services:
        expected = f"{handler.contract.uri}/{to}, whose completion it would get"
        yield Issue(f"services of {parent.source}", expected, "no such service")

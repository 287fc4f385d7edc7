"""Migrate: moves a workflow that is under way to another version."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import evolve
from returns.result import Failure, Result, Success

from arvo.core.events.subject import Subject
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json import Json, freeze, frozen_json
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, Issues, short
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.undo import unfit_undos
from arvo.engine.system.owner import Owners, owner
from arvo.engine.system.system import System, WorkflowHandler
from arvo.handlers.event_handler import EventHandler
from arvo.handlers.flow.handler import FlowHandler
from arvo.handlers.flow.replay import replayed
from arvo.handlers.machine.orchestrator import Orchestrator
from arvo.handlers.machine.persistence import taken_up
from arvo.handlers.resumable import Resumable

_VIOLATIONS: Final = (
    ContractViolation,
    ConfigViolation,
    ExecutionViolation,
    TransactionViolation,
)


def migrate(
    owners: Owners,
    record: Record,
    *,
    to: str,
    state: Callable[[Any], Any] | None = None,
) -> Result[Record, Violation]:
    """Move the record of a workflow to another version of its contract, or say why it cannot.

    *owners*: the workflow itself or the system that it lives in, which also tells whether a parent
    knows the new version's completion. *state* maps what the old version remembered, as JSON, to
    what the new one shall (JSON, or an instance of its class); it is not called where nothing is
    remembered. Pure: nothing is moved but the record that is returned, and that has a revision of
    its own. To its own version, without *state*, a record stays as it is.

    Refused is a workflow that has ended, a version that the handler lacks, a state or an undo that
    does not fit the new version, and one that waits for an answer which the new version would not
    know: which request it waits for is not told by the record, so every service of the old version
    counts while any answer is open.
    """
    moved = move(owners, record, to=to, state=state)
    return Success(moved) if isinstance(moved, Record) else Failure(moved)


def move(
    owners: Owners, record: Record, *, to: str, state: Callable[[Any], Any] | None = None
) -> Record | Violation:
    """Move a record, as a plain union: what `migrate` is to users."""
    handler = owner(owners, record)
    if isinstance(handler, ConfigViolation):
        return handler
    if record.status != "active":
        issue = Issue("record.status", "active", record.status)
        return ExecutionViolation(f"this run of {handler.source} has ended", issue)
    if to not in handler.versions:
        issue = Issue("to", f"one of {', '.join(handler.versions)}", short(to))
        return ConfigViolation(f"{handler.source} has no such version", issue)
    if to == record.version and state is None:
        return record
    said = _mapped(record, state)
    if isinstance(said, _VIOLATIONS):
        return said
    remembered = _remembered(handler, record, to, said, mapped=state is not None)
    if isinstance(remembered, Issues):
        message = f"{handler.source} {to} cannot read what is remembered"
        return ExecutionViolation(message, remembered)
    obstacles = tuple(_obstacles(owners, handler, record, to))
    if obstacles:
        return ConfigViolation(f"{handler.source} cannot go on in version {to}", obstacles)
    moved = evolve(record, version=to, state=remembered)
    # One more than before, or a turn that was decided on the old version could still be written.
    return record if moved == record else evolve(moved, revision=record.revision + 1)


def _mapped(record: Record, state: Callable[[Any], Any] | None) -> Any:
    """Ask the author's function for the new state; a violation where it raises."""
    if state is None or record.state is None:
        return record.state
    try:
        return state(record.state)
    except Violated as violated:
        return violated.violation
    except Exception as error:  # noqa: BLE001 - one bad record of many must not stop the others
        issue = Issue("state", "a function that maps this state", short(error))
        return ExecutionViolation("the state cannot be mapped", issue)


def _remembered(
    handler: WorkflowHandler, record: Record, to: str, said: Any, *, mapped: bool
) -> Json | Issues:
    """Write what the new version shall remember, or say why it could not read it.

    Each kind of workflow knows what it reads: this is the place to ask it.
    """
    match handler:
        case Resumable():
            return _of_resumable(handler, said, mapped=mapped)
        case Orchestrator():
            return _of_orchestrator(handler, record, to, said)
        case FlowHandler():
            return _of_flow(handler, record, to, mapped=mapped)


def _of_resumable(handler: Resumable[Any], said: Any, *, mapped: bool) -> Json | Issues:
    payload = handler.state
    if said is None or payload is None:
        return freeze(said, "state")
    json = payload.write(said, path="state") if mapped else said
    if isinstance(json, Issues):
        return json
    read = payload.read(json, "state")
    return read if isinstance(read, Issues) else frozen_json(json)


def _of_orchestrator(
    handler: Orchestrator[Any], record: Record, to: str, said: Any
) -> Json | Issues:
    """Take up the snapshot in the new version's chart, which must have all its states."""
    json = freeze(said, "state")
    if isinstance(json, Issues):
        return json
    taken = taken_up(handler.machines[to], evolve(record, state=json))
    return taken if isinstance(taken, FrozenDict) else Issues(taken.issues)


def _of_flow(
    handler: FlowHandler[Any, Any], record: Record, to: str, *, mapped: bool
) -> Json | Issues:
    """Rehearse the journal in the new version: it must come to wait where the old one does."""
    if mapped:
        expected = "no function: a flow's variables are what its journal makes them"
        return Issues.one("state", expected, "one")
    try:
        replayed(handler.contract, handler.parts[to], evolve(record, version=to)).track.close()
    except Violated as violated:
        return Issues(violated.violation.issues)
    return record.state


def _obstacles(
    owners: Owners, handler: WorkflowHandler, record: Record, to: str
) -> Iterator[Issue]:
    """Say what would come to, or be sent by, the new version and that it does not know."""
    if to == record.version:
        return
    known = {(each.uri, each.version) for each in handler.services_of(to)}
    if record.unanswered and record.version not in handler.versions:
        expected = f"one of {', '.join(handler.versions)}, while answers are open"
        yield Issue("record.version", expected, short(record.version))
    elif record.unanswered:
        for service in handler.services_of(record.version):
            if (service.uri, service.version) not in known:
                expected = f"{service.dataschema}, whose answer may be awaited"
                yield Issue(f"services of {to}", expected, "no such service")
    yield from unfit_undos(handler, to, record)
    if isinstance(owners, System):
        yield from _unheard(owners, handler, record, to)


def _unheard(system: System, handler: WorkflowHandler, record: Record, to: str) -> Iterator[Issue]:
    """Say where the parent, as its subject names it, would not know the completion."""
    if record.parent is None:
        return
    try:
        process = Subject.parse(record.parent).orchestrator
    except Violated:
        return
    parent = system.handler_at(process.name)
    if parent is None or isinstance(parent, EventHandler) or process.version not in parent.versions:
        return
    asked = {(each.uri, each.version) for each in parent.services_of(process.version)}
    if (handler.contract.uri, to) not in asked:
        expected = f"{handler.contract.uri}/{to}, which would complete"
        yield Issue(f"services of {parent.source}", expected, "no such service")

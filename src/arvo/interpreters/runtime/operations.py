"""Operations: the acts of an operator on one workflow: cancel, migrate, revive, fork, inspect."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from attrs import evolve

from arvo.core.events.event import Event
from arvo.core.events.protocol import Fork
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.events.uri import is_uri
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.trace_context import event_with_trace, trace_of
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import (
    ConfigViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
)
from arvo.engine.history.fork import ForkOptions, fork_event
from arvo.engine.history.migrate import migrate_plain
from arvo.engine.history.revive import replies_after_failure, revived_record
from arvo.engine.step.event_factory import pending_timers
from arvo.engine.system.handler import WorkflowHandler, is_workflow
from arvo.engine.system.system import System
from arvo.engine.workflow_tree import Tree, tree_loader
from arvo.interpreters.delivery.clock import fresh_stamp
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.errors import Corrupt, Unavailable
from arvo.interpreters.ports.observer import Operation, send_again
from arvo.interpreters.ports.results import HISTORY_PAGE_MAX, Committed, Conflict
from arvo.interpreters.services.doors import find_begin_conflict

# The source of the events that an operator sends. Nothing is sent back to it.
OPERATOR: Final = "arvo.runtime.operator"
# Conflicts in a row before an operation gives up on a busy workflow.
CONFLICTS_MAX: Final = 10
# The pause before an unavailable backend is asked again.
OUTAGE_PAUSE_SECONDS: Final = 0.05


def make_cancellation(
    system: System, subject: str, reason: str, by: str | None = None
) -> Event[Any]:
    """Make the event that cancels a workflow.

    Raises `Violated` if the subject names no workflow of the system.
    """
    contract = workflow_handler(system, subject).contract.version("latest")
    return contract.cancel(reason, source=OPERATOR, subject=subject, by=by)


def workflow_handler(system: System, subject: str) -> WorkflowHandler:
    """Return the handler of a workflow; raises `Violated` if the subject is of no workflow here."""
    name = Subject.parse(subject).orchestrator.name
    handler = system.handler_at(name)
    if not is_workflow(handler):
        workflows = filter(is_workflow, system.handlers)
        known = ", ".join(workflow.source for workflow in workflows) or "none"
        issue = Issue("subject.orchestrator.name", f"a workflow of this system ({known})", name)
        raise Violated(ConfigViolation("the subject names no workflow of this system", issue))
    return handler


async def find_record(backend: Backend, subject: str) -> Record | None:
    """Load the record of a workflow, or return None.

    A subject is an encoded URI. Any other text names no workflow, and some stores could not even
    look for it: Postgres refuses NUL, SQLite a lone surrogate.
    """
    return await backend.load(subject) if is_uri(subject) else None


async def load_record(backend: Backend, subject: str) -> Record:
    """Load the record of a workflow; raises `Violated` if there is none."""
    record = await find_record(backend, subject)
    if record is None:
        raise workflow_not_found(subject)
    return record


def workflow_not_found(subject: str) -> Violated:
    """Make the exception for a subject that has no record."""
    expected = "the id or the subject of a workflow that has begun here"
    issue = Issue("workflow", expected, short_repr(subject))
    return Violated(ConfigViolation("there is no such workflow", issue))


async def migrate_workflow(
    system: System,
    backend: Backend,
    subject: str,
    *,
    to: str,
    state: Callable[[Any], Any] | None,
    operation: Operation | None = None,
) -> Record:
    """Move a workflow to another version, and return its new record.

    *operation*: the observation of this command; it follows the trace of the last turn. If a
    turn is committed in between, the record that it left is moved instead. Raises `Violated` if the
    workflow cannot be moved.
    """
    for _ in range(CONFLICTS_MAX):
        record = await load_record(backend, subject)
        moved = migrate_plain(system, record, to=to, state=state)
        if not isinstance(moved, Record):
            raise Violated(moved)
        if moved is record:
            return record
        match await backend.replace_record(moved, record.revision):
            case Committed():
                if operation is not None:
                    await _follow_last_turn(backend, record, operation)
                return moved
            case Conflict():
                continue
    text = f"the workflow took a turn {CONFLICTS_MAX} times while it was to be migrated"
    raise Violated(TransactionViolation(text, cause="conflict"))


async def _follow_last_turn(backend: Backend, record: Record, operation: Operation) -> None:
    # The command succeeds, observed or not.
    with suppress(Unavailable, Corrupt):
        async for entry in last_turn_entries(backend, record):
            trace = None if entry.event is None else trace_of([entry.event])
            if trace is not None:
                operation.follows(trace)
                return


async def revive_workflow(
    system: System,
    backend: Backend,
    subject: str,
    *,
    after_compensation: bool,
    operation: Operation | None = None,
) -> Record:
    """Let a failed workflow continue, and return its new record.

    *operation*: the observation of this command. Raises `Violated` if it cannot continue.
    """
    for _ in range(CONFLICTS_MAX):
        record, revived, turn = await decide_revival(
            system, backend, subject, after_compensation=after_compensation
        )
        # If it failed on a timer, the timer's event is redelivered, and not set once more.
        timers = [
            timer for timer in pending_timers(system, revived) if timer.event.id != turn[0].id
        ]
        # The last event of the turn that failed carries its trace.
        events = [
            send_again(turn[0], operation, turn[-1]),
            *_replies_after_failure(record, operation),
        ]
        result = await backend.replace_record(
            revived, record.revision, timers=timers, redeliver=events
        )
        if isinstance(result, Committed):
            return revived
    text = f"the workflow changed {CONFLICTS_MAX} times while it was to be revived"
    raise Violated(TransactionViolation(text, cause="conflict"))


async def decide_revival(
    system: System, backend: Backend, subject: str, *, after_compensation: bool
) -> tuple[Record, Record, list[Event[Any]]]:
    """Return the record of a failed workflow, the one from which it would continue, and the events
    of the turn that failed. Raises `Violated` if it cannot continue.
    """
    record = await load_record(backend, subject)
    if (other := await _find_active_run(backend, record)) is not None:
        issue = Issue("subject", f"{other}, the run that is active since", short_repr(subject))
        text = "another run has the workflow id by now: cancel it first"
        raise Violated(ExecutionViolation(text, issue))
    entries = [entry async for entry in last_turn_entries(backend, record)]
    turn = [entry.event for entry in reversed(entries) if entry.event is not None]
    revived = revived_record(system, record, turn, after_compensation=after_compensation)
    if not isinstance(revived, Record):
        raise Violated(revived)
    return record, revived, turn


async def _find_active_run(backend: Backend, record: Record) -> str | None:
    """Return the subject of another run with the workflow id of *record* that is active."""
    id_ = workflow_id_of(record.subject)
    runs = await backend.workflows(workflow_id=id_, handler=record.handler) if id_ else ()
    for run in runs:
        if run.record.subject != record.subject and run.record.status == "active":
            return run.record.subject
    return None


async def make_fork(
    system: System,
    backend: Backend,
    subject: str,
    options: ForkOptions,
    operation: Operation | None = None,
) -> Event[Fork]:
    """Make the event that begins a new workflow from a turn of another one.

    *operation*: the observation of this command; it follows the trace of the last turn. Raises
    `Violated` if the record cannot be derived, or another run has the workflow id.
    """
    workflow_handler(system, subject)
    record = await load_record(backend, subject)
    newest_first = [entry async for entry in history_entries(backend, subject)]
    event = fork_event(system, record, newest_first[::-1], options)
    if not isinstance(event, Event):
        raise Violated(event)
    conflict = await find_begin_conflict(backend, event) if options.is_chosen else None
    if conflict is not None:
        raise Violated(conflict)
    if operation is not None:
        await _follow_last_turn(backend, record, operation)
    stamp = fresh_stamp()
    return evolve(event, traceparent=stamp.traceparent, tracestate=stamp.tracestate)


def _replies_after_failure(record: Record, operation: Operation | None) -> Iterable[Event[Any]]:
    """Return the replies that a failed workflow has retained, with the trace of the command."""
    trace = None if operation is None else operation.trace
    retained = replies_after_failure(record)
    return retained if trace is None else (event_with_trace(event, trace) for event in retained)


async def history_entries(
    backend: Backend, subject: str, page_max: int = HISTORY_PAGE_MAX
) -> AsyncIterator[HistoryEntry]:
    """Yield the entries of a workflow's history, newest first, page by page."""
    if not is_uri(subject):
        return
    before: int | None = None
    while page := await backend.history(subject, before=before, limit=page_max):
        for entry in reversed(page):
            yield entry
        before = page[0].position


async def last_turn_entries(backend: Backend, record: Record) -> AsyncIterator[HistoryEntry]:
    """Yield the history entries of the last turn that *record* shows, newest first."""
    # Each reply that came after a failure has written a revision, without a turn.
    revision = record.revision - record.late_replies
    async for entry in history_entries(backend, record.subject):
        if entry.revision < revision:
            return
        if entry.revision == revision:
            yield entry


async def wait_until_idle(backend: Backend) -> None:
    """Wait until no message is under way, and wait out outages of the backend."""
    while True:
        try:
            await backend.wait_until_idle()
        except Unavailable:
            await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
        else:
            return


async def load_tree(backend: Backend, subject: str) -> Tree:
    """Load the tree of workflows that a workflow belongs to."""
    loader = tree_loader(subject)
    requested = next(loader)
    while True:
        record = await find_record(backend, requested)
        try:
            requested = loader.send(record)
        except StopIteration as stop:
            tree: Tree = stop.value
            return tree

"""Control: what an operator does with a running workflow."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from arvo.core.events.event import Event
from arvo.core.events.subject import Subject
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ConfigViolation, TransactionViolation, Violated
from arvo.engine.history.migrate import move
from arvo.engine.history.revive import revived
from arvo.engine.step.event_factory import alarms_of
from arvo.engine.system.system import System, WorkflowHandler
from arvo.engine.workflow_tree import Tree, growing
from arvo.handlers.event_handler import EventHandler
from arvo.interpreters.ports.backend import HISTORY_PAGE_MAX, Backend, Committed, Conflict

# Where what an operator sends says that it is from; nothing is answered to it.
OPERATOR: Final = "arvo.runtime.operator"
# Lost races in a row before an operator hears that a workflow is too busy to be moved.
RACES_MAX: Final = 10


def workflow_at(system: System, subject: str) -> WorkflowHandler:
    """Find the workflow that a subject names; raises `Violated` where the system has none."""
    name = Subject.parse(subject).orchestrator.name
    handler = system.handler_at(name)
    if handler is None or isinstance(handler, EventHandler):
        known = ", ".join(_workflows(system)) or "none"
        issue = Issue("subject.orchestrator.name", f"a workflow of this system ({known})", name)
        raise Violated(ConfigViolation("the subject names no workflow here", issue))
    return handler


def cancellation(system: System, subject: str, reason: str) -> Event[Any]:
    """Make the event that cancels a workflow; raises `Violated` where there is no such workflow."""
    contract = workflow_at(system, subject).contract.version("latest")
    return contract.cancel(reason, source=OPERATOR, subject=subject)


async def remembered(backend: Backend, subject: str) -> Record:
    """Load the record of a workflow; raises `Violated` where there is none."""
    record = await backend.load(subject)
    if record is None:
        raise nothing_remembered(subject)
    return record


def nothing_remembered(subject: str) -> Violated:
    """Say that there is no such workflow."""
    issue = Issue("subject", "a workflow that has begun here", short(subject))
    return Violated(ConfigViolation("nothing is remembered of this workflow", issue))


async def migrated(
    system: System,
    backend: Backend,
    subject: str,
    *,
    to: str,
    state: Callable[[Any], Any] | None,
) -> Record:
    """Move a workflow to another version, and give its new record; `Violated` where it cannot.

    A turn that is committed in between wins, and the record that it left is moved.
    """
    for _ in range(RACES_MAX):
        record = await remembered(backend, subject)
        moved = move(system, record, to=to, state=state)
        if not isinstance(moved, Record):
            raise Violated(moved)
        if moved is record:
            return record
        match await backend.replace_record(moved, record.revision):
            case Committed():
                return moved
            case Conflict():
                continue
    lost = f"the workflow took a turn {RACES_MAX} times while it should have been moved"
    raise Violated(TransactionViolation(lost, cause="conflict"))


async def revive(system: System, backend: Backend, subject: str, *, undone: bool) -> Record:
    """Let a failed workflow go on, and give its new record; `Violated` where it cannot."""
    for _ in range(RACES_MAX):
        record = await remembered(backend, subject)
        lines = [line async for line in last_turn(backend, record)]
        turn = [line.event for line in reversed(lines) if line.event is not None]
        found = revived(system, record, turn, undone=undone)
        if not isinstance(found, Record):
            raise Violated(found)
        # A timer on which it failed is handed to it at once, as any event would be.
        timers = [each for each in alarms_of(system, found) if each.event.id != turn[0].id]
        amended = await backend.replace_record(
            found, record.revision, timers=timers, redeliver=[turn[0]]
        )
        if isinstance(amended, Committed):
            return found
    lost = f"the workflow changed {RACES_MAX} times while it should have been revived"
    raise Violated(TransactionViolation(lost, cause="conflict"))


async def lines(
    backend: Backend, subject: str, page_max: int = HISTORY_PAGE_MAX
) -> AsyncIterator[HistoryEntry]:
    """Give a workflow's history line by line, the newest first."""
    before: int | None = None
    while page := await backend.history(subject, before=before, limit=page_max):
        for line in reversed(page):
            yield line
        before = page[0].position


async def last_turn(backend: Backend, record: Record) -> AsyncIterator[HistoryEntry]:
    """Give the lines of the turn that left a record, the newest first."""
    async for line in lines(backend, record.subject):
        if line.revision < record.revision:
            return
        if line.revision == record.revision:
            yield line


async def grown(backend: Backend, subject: str) -> Tree:
    """Grow the tree that a run belongs to out of what a backend remembers."""
    growth = growing(subject)
    wanted = next(growth)
    while True:
        record = await backend.load(wanted)
        try:
            wanted = growth.send(record)
        except StopIteration as stop:
            tree: Tree = stop.value
            return tree


def _workflows(system: System) -> list[str]:
    return [each.source for each in system.handlers if not isinstance(each, EventHandler)]

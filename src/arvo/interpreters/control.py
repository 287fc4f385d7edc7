"""Control: what an operator does with a running workflow."""

from collections.abc import Callable
from typing import Any, Final

from arvo.core.event import Event
from arvo.core.issue import Issue, short
from arvo.core.record import Record
from arvo.core.subject import Subject
from arvo.core.violation import ConfigViolation, TransactionViolation, Violated
from arvo.engine.migrate import move
from arvo.engine.system import System, WorkflowHandler
from arvo.engine.tree import Tree, growing
from arvo.handlers.event_handler import EventHandler
from arvo.interpreters.ports import Backend, Committed, Conflict

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
        issue = Issue("subject", "a workflow that has begun here", short(subject))
        raise Violated(ConfigViolation("nothing is remembered of this workflow", issue))
    return record


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
        match await backend.amend(moved, record.revision):
            case Committed():
                return moved
            case Conflict():
                continue
    lost = f"the workflow took a turn {RACES_MAX} times while it should have been moved"
    raise Violated(TransactionViolation(lost, cause="conflict"))


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

"""Lookup: finds the subject of a workflow by its workflow id."""

from collections.abc import Sequence
from typing import Final

from arvo.core.events.identity import is_workflow_id
from arvo.core.events.subject import Subject
from arvo.core.violations.issue import Issue, one_line
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.ports.backend import Backend
from arvo.interpreters.ports.results import StoredWorkflow

# Runs that a message about an ambiguous id names.
NAMED_MAX: Final = 10


async def find_subject(backend: Backend, workflow: str) -> str:
    """Return the subject of a workflow, by its workflow id or its subject.

    `arvo.orc.order.fulfil/order-1` names a run of one workflow type. Of the runs of one type with
    one id the active one counts, or else the one that changed last. Returns *workflow* itself where
    no workflow has that id. Raises `Violated` if the id fits runs of several types, or several
    active runs.
    """
    if is_subject(workflow) or not is_workflow_id(workflow):
        return workflow
    found = await backend.workflows(workflow_id=workflow)
    handler, slash, id_ = workflow.partition("/")
    if not found and slash and is_workflow_id(id_):
        found = await backend.workflows(workflow_id=id_, handler=handler)
    if not found:
        return workflow
    active = [stored for stored in found if stored.record.status == "active"]
    is_ambiguous = len(active) > 1 or len({stored.record.handler for stored in found}) > 1
    if is_ambiguous:
        raise _ambiguous(workflow, found)
    return (active or found)[0].record.subject


def is_subject(text: str) -> bool:
    """Return whether *text* is a subject in its wire format."""
    try:
        Subject.parse(text)
    except Violated:
        return False
    return True


def _ambiguous(workflow: str, found: Sequence[StoredWorkflow]) -> Violated:
    runs = ", ".join(
        one_line(f"{stored.record.handler}/{workflow} ({stored.record.subject})")
        for stored in found[:NAMED_MAX]
    )
    issue = Issue("workflow_id", f"one of {runs}", repr(workflow))
    return Violated(ConfigViolation("several workflows have this id", issue))

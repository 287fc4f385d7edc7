"""Lookup: finds the subject of a workflow by its workflow id."""

from collections.abc import Iterator, Sequence
from typing import Final

from arvo.core.events.identity import is_workflow_id
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.ports.backend import Backend

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
        runs = [(stored.record.handler, stored.record.subject) for stored in found]
        raise _ambiguous(workflow, runs)
    return (active or found)[0].record.subject


async def find_dead_letter_subject(backend: Backend, workflow: str) -> str:
    """Return the subject of the dead letters that a workflow id or a subject selects.

    As `find_subject`. Where no workflow has the id, the event that would have begun it may be a
    dead letter: then by the ids in the subjects of the dead letters, all of which are read.
    """
    subject = await find_subject(backend, workflow)
    if subject != workflow or is_subject(workflow) or not is_workflow_id(workflow):
        return subject
    runs: dict[tuple[str, str], None] = {}
    last = None
    while page := await backend.dead_letters(after=last):
        last = page[-1]
        subjects = {dead_letter.event.subject for dead_letter in page}
        runs |= dict.fromkeys(run for each in sorted(subjects) for run in _runs(each, workflow))
    if len(runs) > 1:
        raise _ambiguous(workflow, [*runs])
    return next((found for _, found in runs), workflow)


def _runs(subject: str, workflow: str) -> Iterator[tuple[str, str]]:
    """Yield the type and the subject of a run, if it has the workflow id."""
    id_ = workflow_id_of(subject)
    if id_:
        type_ = Subject.parse(subject).orchestrator.name
        if workflow in (id_, f"{type_}/{id_}"):
            yield type_, subject


def is_subject(text: str) -> bool:
    """Return whether *text* is a subject in its wire format."""
    try:
        Subject.parse(text)
    except Violated:
        return False
    return True


def _ambiguous(workflow: str, found: Sequence[tuple[str, str]]) -> Violated:
    """Return the error that names runs, pairs of a type and a subject.

    Each with its whole subject, by which the caller names one: subjects of one type begin alike.
    """
    runs = ", ".join(
        f"{type_}/{workflow.removeprefix(f'{type_}/')} ({subject})"
        for type_, subject in found[:NAMED_MAX]
    )
    issue = Issue("workflow_id", f"one of {runs}", repr(workflow))
    return Violated(ConfigViolation("several workflows have this id", issue))

"""Begin: compares an event that begins a workflow with the run that has its workflow id."""

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from arvo.core.commit import Commit
from arvo.core.events.digest import content_digest
from arvo.core.events.event import Event
from arvo.core.events.identity import ID_REUSE_POLICY, SIGNAL
from arvo.core.events.protocol import fork_type
from arvo.core.events.subject import Subject, workflow_id_of
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ExecutionViolation

# An event is the "same" as the one that began the run, or has its content; or it begins the "next"
# run, because this one has ended and the policy of the event allows that; or it is a "signal" to
# this one, because its contract is keyed; or it is an "other" one.
Comparison: TypeAlias = Literal["same", "next", "signal", "other"]

# The name of the system error for a child whose workflow id another run has.
ALREADY_STARTED: Final = "WorkflowAlreadyStarted"
# The statuses after which each policy allows the next run.
_ALLOWED_AFTER: Final = {
    "allow": ("done", "failed", "cancelled"),
    "allow_if_failed": ("failed", "cancelled"),
    # Not after a failure: the run holds events of others, which an operator can revive.
    SIGNAL: ("done", "cancelled"),
}


def has_chosen_id(event: Event[Any]) -> bool:
    """Return whether *event* begins a run whose workflow id was chosen."""
    return ID_REUSE_POLICY in event.extensions


def is_keyed(event: Event[Any]) -> bool:
    """Return whether *event* is one of a keyed contract: it begins a run, or is a signal to it."""
    return event.extensions.get(ID_REUSE_POLICY) == SIGNAL


def may_begin_next(event: Event[Any]) -> bool:
    """Return whether the policy of *event* allows it to begin the next run in some case."""
    return event.extensions.get(ID_REUSE_POLICY) in _ALLOWED_AFTER


def compare_begin(record: Record, event: Event[Any], *, by_content: bool = True) -> Comparison:
    """Compare a begin with a chosen id with the *record* of its subject.

    Not *by_content*: only the same id is the same event, as for those that workflows send. Each of
    their requests needs an answer of its own.
    """
    if event.id == record.init:
        return "same" if record.init_digest in ("", content_digest(event)) else "other"
    policy = event.extensions.get(ID_REUSE_POLICY)
    if isinstance(policy, str) and record.status in _ALLOWED_AFTER.get(policy, ()):
        return "next"
    if policy == SIGNAL:
        # Not by content: two equal events are two events.
        return "signal"
    return "same" if by_content and record.init_digest == content_digest(event) else "other"


def refuse_begin(record: Record, event: Event[Any], workflow_id: str) -> ExecutionViolation:
    """Return the violation of a begin whose workflow id another begin has; it names both."""
    expected = f"another one, or the content {record.init_digest[:16]} of the begin {record.init!r}"
    got = f"the content {content_digest(event)[:16]} of {event.id!r} from {event.source!r}"
    text = f"{_run_name(record, workflow_id)} has begun with another event"
    return ExecutionViolation(text, Issue("workflow_id", expected, got))


def find_other_run(record: Record, event: Event[Any]) -> ExecutionViolation | None:
    """Return a violation if *record* is that of another run of the type and id that *event* begins.

    Its subject differs by its version, initiator, domain or meta. None if it has ended, and the
    policy of *event* allows another run. None too if its first turn failed: it has not begun.
    """
    if record.subject == event.subject or not record.init:
        return None
    if compare_begin(record, event, by_content=False) == "next":
        return None
    theirs, ours = Subject.parse(record.subject), Subject.parse(event.subject)
    issues = [
        Issue("workflow_id", "another one, or the subject of that run", repr(ours.execution.id))
    ]
    issues += (
        Issue(path, repr(first), repr(second))
        for path, first, second in (
            ("version", theirs.orchestrator.version, ours.orchestrator.version),
            ("source", theirs.execution.initiator, ours.execution.initiator),
            ("domain", theirs.execution.domain, ours.execution.domain),
            ("subject.meta", dict(theirs.meta), dict(ours.meta)),
        )
        if first != second
    )
    text = f"{_run_name(record, ours.execution.id)} has another subject than {event.id!r} names"
    return ExecutionViolation(text, tuple(issues))


def begun_id(commit: Commit) -> tuple[str, str] | None:
    """Return the handler and the chosen id of the run that a commit begins, None for all others."""
    begins = commit.event.type in (commit.handler, fork_type(commit.handler))
    if commit.record is None or not begins or not has_chosen_id(commit.event):
        return None
    id_ = workflow_id_of(commit.event.subject)
    return (commit.handler, id_) if id_ else None


def begun_ids(commits: Iterable[Commit]) -> dict[tuple[str, str], Event[Any]] | None:
    """Return the events by which commits begin runs, by `begun_id`; None if two subjects have one.

    Those of one subject are turns of one record, so only the first of them is compared.
    """
    begun: dict[tuple[str, str], Event[Any]] = {}
    for commit in commits:
        key = begun_id(commit)
        if key is not None:
            first = begun.setdefault(key, commit.event)
            if first.subject != commit.event.subject:
                return None
    return begun


def find_holder(records: Iterable[Record], event: Event[Any]) -> Record | None:
    """Return the one of *records* that has the id which *event* begins; see `find_other_run`."""
    return next((record for record in records if find_other_run(record, event)), None)


def _run_name(record: Record, workflow_id: str) -> str:
    return f"the {record.status} run {workflow_id!r} of {record.handler} {record.version}"

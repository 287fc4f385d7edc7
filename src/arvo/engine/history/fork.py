"""Fork: make the event that begins a new workflow from a turn of another one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeAlias, final

from attrs import evolve, frozen

from arvo.core.contracts.versioned_workflow import PARENT_SUBJECT
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.envelope import time_text
from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.events.identity import ID_REUSE_POLICY, digest_id
from arvo.core.events.protocol import Fork, Timer, cancel_type, fork_type, system_error_type
from arvo.core.events.subject import Execution, Process, Subject
from arvo.core.fork import ForkContent
from arvo.core.history import HistoryEntry
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.record import Record
from arvo.core.requests import ChildRun
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import (
    ConfigViolation,
    ExecutionViolation,
    Violated,
    Violation,
)
from arvo.engine.history.migrate import migrate_plain
from arvo.engine.history.record_at import record_at
from arvo.engine.step.admit import admit_version
from arvo.engine.system.handler import WorkflowHandler
from arvo.engine.system.system import System, find_workflow
from arvo.handlers.flow.execution import request_id
from arvo.handlers.flow.handler import FlowHandler

History: TypeAlias = Sequence[HistoryEntry]


@final
@frozen(kw_only=True)
class ForkOptions:
    """How to fork: *at* which revision, with which *workflow_id*, in which *version*.

    *is_chosen*: whether an operator has chosen the id. *version*: None for that of the record.
    *source*: the sender of the event, to which nothing is sent back. *now*: its time.
    *after_compensation*: also where the first workflow has compensated since.
    """

    at: int
    workflow_id: str
    source: str
    now: datetime
    is_chosen: bool = False
    version: str | None = None
    after_compensation: bool = False


def fork_event(
    system: System, stored: Record, history: History, options: ForkOptions
) -> Event[Fork] | Violation:
    """Make the event that begins a new workflow from the record of *stored* at a revision.

    *history*: that of the workflow, oldest first. Pure: the event holds all that the new workflow
    needs. A violation where the replay cannot derive that record, or derives another one than the
    workflow had; where the workflow had ended by then; and where it has compensated since then.
    """
    handler = find_workflow(system, stored)
    if isinstance(handler, ConfigViolation):
        return handler
    record = record_at(system, stored, history, options.at)
    if isinstance(record, Record) and options.version is not None:
        record = migrate_plain(system, record, to=options.version)
    if not isinstance(record, Record):
        return record
    refused = admit_version(handler, record.version) or _refuse_status(record, options.at)
    if refused is not None:
        return refused
    has_compensated = bool(record.compensations) and _has_compensated_since(
        handler, history, options.at
    )
    if has_compensated and not options.after_compensation:
        names = ", ".join(dict.fromkeys(str(each["type"]) for each in record.compensations))
        issue = Issue("after_compensation", "True, to fork it in spite of that", "False")
        message = f"the workflow has compensated since revision {options.at} ({names})"
        return ExecutionViolation(message, issue)
    # Each effect is undone by one workflow: by the first one as long as it may still fail, and not
    # once more where it has done so.
    takes_over = stored.status == "done" and not has_compensated
    return _make_event(
        handler, record if takes_over else evolve(record, compensations=()), history, options
    )


def _refuse_status(record: Record, at: int) -> Violation | None:
    if record.status != "active":
        issue = Issue("at", "a revision at which the workflow was active", str(at))
        return ExecutionViolation(f"the workflow was {record.status} by revision {at}", issue)
    if not record.init:
        issue = Issue("at", "a revision after the first turn", str(at))
        return ExecutionViolation("the workflow had not begun at this revision", issue)
    return None


def _has_compensated_since(handler: WorkflowHandler, history: History, at: int) -> bool:
    """Return whether a turn after a revision failed or cancelled the workflow."""
    later = (entry for entry in history if entry.revision > at and entry.event is not None)
    ends = {system_error_type(handler.source), cancel_type(handler.source)}
    for _, turn in groupby(later, key=lambda entry: entry.revision):
        for entry in turn:
            assert entry.event is not None
            is_own = entry.kind == "consumed" or entry.event.source == handler.source
            if is_own and entry.event.type in ends:
                return True
    return False


def _make_event(
    handler: WorkflowHandler, record: Record, history: History, options: ForkOptions
) -> Event[Fork] | Violation:
    subject = _subject(record, options)
    origin, at = record.subject, options.at
    init = digest_id("\0".join(("fork", origin, str(at), subject)))
    sent = {
        entry.event.id: entry.event
        for entry in history
        if entry.kind == "produced" and entry.event is not None and entry.revision <= at
    }
    new_ids = new_request_ids(handler, record, sent, init, subject)
    missing = [id_ for id_ in new_ids if id_ not in sent]
    if missing:
        issue = Issue("history", f"the request {missing[0]!r}, which is open", "no such event")
        return ExecutionViolation("the history no longer holds an open request", issue)
    requests = {id_: _request(sent[id_], origin, subject, new_ids[id_]) for id_ in new_ids}
    forked = evolve(
        record,
        subject=subject,
        parent=None,
        late_replies=0,
        revivals=0,
        children=FrozenDict(
            {
                new_ids[id_]: ChildRun(requests[id_].subject, child.dataschema, child.domain)
                for id_, child in record.children.items()
                if id_ in new_ids
            }
        ),
        pending_requests=FrozenDict(_pending(record, new_ids)),
        timers=FrozenDict(
            {
                name: Timer(digest_id(f"{init}\0timer\0{name}"), timer.at, timer.payload)
                for name, timer in record.timers.items()
            }
        ),
    )
    content = ForkContent(forked, tuple(requests.values()), _find_begin(record, history))
    policy = {ID_REUSE_POLICY: "reject"} if options.is_chosen else {}
    event: Event[Fork] = Event(
        id=init,
        source=options.source,
        type=fork_type(handler.source),
        subject=subject,
        dataschema=f"{handler.contract.uri}/{WILDCARD}",
        data=Fork(origin, at, content.pack()),
        time=time_text(options.now),
        to=handler.source,
        extensions=FrozenDict(policy),
    )
    size = len(event.to_bytes())
    if size > EVENT_BYTES_MAX:
        issue = Issue("record", f"at most {EVENT_BYTES_MAX} bytes when compressed", str(size))
        return ExecutionViolation(f"the record at revision {at} is too large to fork", issue)
    return event


def _subject(record: Record, options: ForkOptions) -> str:
    """Return the subject of the fork: a run of its own, which answers nobody."""
    first = Subject.parse(record.subject)
    meta = {name: value for name, value in first.meta.items() if name != "redirectto"}
    execution = Execution(options.workflow_id, options.source, first.execution.domain)
    return str(Subject(Process(first.orchestrator.name, record.version), execution, meta))


def new_request_ids(
    handler: WorkflowHandler,
    record: Record,
    sent: Mapping[str, Event[Any]],
    init: str,
    subject: str,
) -> dict[str, str]:
    """Return the new ids of the open requests that a fork sends again, by their ids.

    *sent*: the events that the workflow has sent, by id. *init*: the id of the event that begins
    the fork, *subject* its subject.
    """
    if isinstance(handler, FlowHandler):
        return _ids_of_flow(handler, record, init, subject)
    services = handler.services_of(record.version).by_type
    new_ids = {}
    for id_ in record.unanswered:
        service, event = services.get(record.pending_requests[id_].type), sent.get(id_)
        # No reply comes from a service without replies, nor from a workflow that runs on its own.
        has_reply = service is None or bool(service.emitted)
        is_own = event is None or event.raw.get(PARENT_SUBJECT, record.subject) == record.subject
        if has_reply and is_own:
            new_ids[id_] = digest_id(f"{init}\0request\0{id_}")
    return new_ids


def _ids_of_flow(
    handler: FlowHandler[Any, Any], record: Record, init: str, subject: str
) -> dict[str, str]:
    """Return the new ids of the requests that a flow waits for; it derives them itself."""
    state: Any = record.state
    generation = state["generation"]
    by_first = {
        request_id(handler.source, record.init, record.subject, generation, number): request_id(
            handler.source, init, subject, generation, number
        )
        for number in map(int, state["waiting"])
    }
    new_ids = {}
    for id_ in record.unanswered:
        # A request to several domains has one id for each.
        first, dot, position = id_.rpartition(".")
        if id_ in by_first:
            new_ids[id_] = by_first[id_]
        elif dot and position.isdigit() and first in by_first:
            new_ids[id_] = f"{by_first[first]}.{position}"
    return new_ids


def _pending(record: Record, new_ids: Mapping[str, str]) -> dict[str, Any]:
    """Return the requests that the fork waits for: answered ones, and those that it sends."""
    open_ = set(record.unanswered)
    return {
        new_ids.get(id_, id_): sent
        for id_, sent in record.pending_requests.items()
        if id_ not in open_ or id_ in new_ids
    }


def _request(event: Event[Any], origin: str, subject: str, id_: str) -> Event[Any]:
    """Return a request as the fork sends it; one for a child begins another child."""
    content = {**event.to_dict(), "id": id_, "subject": subject}
    if event.subject != origin:
        child = Subject.parse(event.subject)
        run = evolve(child.execution, id=digest_id(f"{id_}\0execution"))
        content["subject"] = str(evolve(child, execution=run))
        if event.raw.get(PARENT_SUBJECT) == origin:
            content["data"] = {**event.raw, PARENT_SUBJECT: subject}
        content.pop(ID_REUSE_POLICY, None)
    return Event.from_dict(content)


def _find_begin(record: Record, history: History) -> Event[Any] | None:
    """Return the event that began a workflow; that of the first one, if it is a fork itself."""
    for entry in history:
        event = entry.event
        if entry.kind != "consumed" or event is None or event.id != record.init:
            continue
        if event.type != fork_type(record.handler):
            return event
        try:
            return ForkContent.unpack(str(event.raw["content"])).begin
        except Violated:
            return None
    return None

"""Description: the state of one workflow for an operator: its waits, and since when."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.core.events.subject import workflow_id_of
from arvo.core.history import HistoryEntry
from arvo.core.labels import label_text
from arvo.core.record import Record
from arvo.core.violations.issue import one_line, short_repr
from arvo.handlers.flow.replay import read_waiting
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import StoredWorkflow
from arvo.printable import printable


@final
@frozen
class PendingRequest:
    """A request that a workflow waits for: the *id* and *type* of its event, and its time.

    *type* and *since* are None if the history does not reach back that far.
    """

    id: str
    type: str | None
    since: datetime | None


@final
@frozen(kw_only=True)
class WorkflowDescription:
    """The state of one workflow. `str` formats it as lines for an operator.

    *record*: the stored record, with its pending timers. *began*, *changed*: the times of its first
    and last write. *requests*: the requests whose replies it waits for. *waiting_for*: the
    operations that a flow waits for, as text. Both are empty once it has ended or failed, and
    neither has what a flow sent by `tell`. *unread_signals*: the types of the signals that a flow
    has not read yet. *dead_letters*: the dead letters of its subject, the first `PAGE_MAX` of them.
    """

    record: Record
    began: datetime
    changed: datetime
    requests: tuple[PendingRequest, ...] = ()
    waiting_for: tuple[str, ...] = ()
    unread_signals: tuple[str, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(printable, self._lines()))

    def _lines(self) -> Iterator[str]:
        record = self.record
        yield f"{record.handler} {record.version}: {record.status}"
        workflow_id = workflow_id_of(record.subject)
        if workflow_id:
            yield f"  workflow   {workflow_id}"
        yield f"  subject    {record.subject}"
        yield f"  began      {_format_time(self.began)}"
        yield f"  changed    {_format_time(self.changed)}, revision {record.revision}"
        if record.labels:
            shown = ", ".join(f"{name}={label_text(it)}" for name, it in record.labels.items())
            yield f"  labels     {shown}"
        if record.failure is not None:
            failure = record.failure
            yield f"  failed     {one_line(failure.name)}: {one_line(failure.message)}"
        if record.late_replies:
            number = f"{record.late_replies} that came since"
            yield f"  replies    {number}; a revival delivers them again"
        if record.status == "failed":
            sent = record.pending_requests
            waiting = [id_ for id_ in record.unanswered if not sent[id_].is_one_way]
            if waiting:
                number = f"{len(waiting)} without a reply"
                yield f"  requests   {number}; a revival waits for them again"
        if record.state is not None and not record.journal:
            yield f"  state      {short_repr(record.state)}"
        yield from self._waiting_lines()
        for dead_letter in self.dead_letters:
            reason = one_line(dead_letter.reason)
            event = f"{dead_letter.event.type} at {dead_letter.at}"
            yield f"  dead letter  {event}: {reason} (id {dead_letter.id})"

    def _waiting_lines(self) -> Iterator[str]:
        record = self.record
        label = "waits for" if record.status == "active" else "waited for"
        for request in self.requests:
            reply = "a reply" if request.type is None else f"a reply to {request.type}"
            since = "" if request.since is None else f" since {_format_time(request.since)}"
            yield f"  {label}  {reply}{since} (event {request.id})"
        for name, timer in record.timers.items():
            due = _format_time(datetime.fromisoformat(timer.at))
            yield f"  {label}  the timer {one_line(name)}, due {due}"
        for operation in self.waiting_for:
            yield f"  {label}  {one_line(operation)}"
        for type_ in self.unread_signals:
            yield f"  unread     signal {type_}"
        if record.status != "active" or self.requests or record.timers or self.waiting_for:
            return
        if not record.init:
            yield "  waits for  its first event, which will be delivered again"
        else:
            yield "  waits for  a signal at most: no request and no timer is pending"


def describe(
    stored: StoredWorkflow, history: Sequence[HistoryEntry], dead_letters: Sequence[DeadLetter]
) -> WorkflowDescription:
    """Describe a workflow.

    *history*: the newest entries of its history. *dead_letters*: those of its subject, a page.
    """
    record = stored.record
    sent = {entry.event.id: entry for entry in history if entry.kind == "produced" and entry.event}
    waiting_for, unread_signals = read_waiting(record)
    waiting_for = waiting_for if record.status == "active" else ()
    return WorkflowDescription(
        record=record,
        began=stored.began,
        changed=stored.changed,
        requests=tuple(_pending_request(id_, sent.get(id_)) for id_ in record.open_requests),
        waiting_for=waiting_for,
        unread_signals=unread_signals,
        dead_letters=tuple(dead_letters),
    )


def _pending_request(id_: str, entry: HistoryEntry | None) -> PendingRequest:
    if entry is None or entry.event is None:
        return PendingRequest(id_, None, None)
    return PendingRequest(id_, entry.event.type, entry.at)


def _format_time(time: datetime) -> str:
    return f"{time:{_TIME}}"


_TIME: Final = "%Y-%m-%d %H:%M:%S %Z"

"""Standing: how a workflow stands, for people: what it waits for, and since when."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, final

from attrs import frozen

from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.issue import one_line, short
from arvo.handlers.flow.replay import told_by_flow
from arvo.interpreters.ports.backend import DeadLetter, StoredWorkflow


@final
@frozen
class PendingRequest:
    """An event of a workflow that nobody has answered: its *id*, *type*, and when it was sent.

    The last two are None where the history does not reach back so far.
    """

    id: str
    type: str | None
    since: datetime | None


@final
@frozen(kw_only=True)
class WorkflowDescription:
    """How a workflow stands: what it waits for, and since when. Its text is for people.

    *record* is all that is remembered, *began* and *changed* are when that was first and last
    written. *requests*: what it sent and nobody has answered. *wishes*: what a flow waits for, in
    its own words. *unread*: types of the signals that have come to a flow and that it has not read.
    *letters*: the dead letters of its subject. Its timers are in the record.
    """

    record: Record
    began: datetime
    changed: datetime
    requests: tuple[PendingRequest, ...] = ()
    wishes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    letters: tuple[DeadLetter, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        record = self.record
        yield f"{record.handler} {record.version}: {record.status}"
        yield f"  subject    {record.subject}"
        yield f"  began      {_said(self.began)}"
        yield f"  changed    {_said(self.changed)}, revision {record.revision}"
        if record.failure is not None:
            failure = record.failure
            yield f"  failed     {one_line(failure.name)}: {one_line(failure.message)}"
        if record.state is not None and not record.journal:
            yield f"  remembers  {short(record.state)}"
        yield from self._waits()
        for dead_letter in self.letters:
            reason = one_line(dead_letter.reason)
            where = f"{dead_letter.event.type} at {dead_letter.at}"
            yield f"  buried     {where}: {reason} (letter {dead_letter.id})"

    def _waits(self) -> Iterator[str]:
        record = self.record
        before = "waits for" if record.status == "active" else "waited for"
        for request in self.requests:
            what = "an answer" if request.type is None else f"an answer to {request.type}"
            since = "" if request.since is None else f" since {_said(request.since)}"
            yield f"  {before}  {what}{since} (event {request.id})"
        for name, timer in record.timers.items():
            due = _said(datetime.fromisoformat(timer.at))
            yield f"  {before}  its timer {one_line(name)}, due {due}"
        for wish in self.wishes:
            yield f"  {before}  {one_line(wish)}"
        for kind in self.unread:
            yield f"  unread     signal {kind}"
        if record.status != "active" or self.requests or record.timers or self.wishes:
            return
        if not record.init:
            yield "  waits for  the event that begins it, which is on its way again"
        else:
            yield "  waits for  nothing that it asked for: a signal, or nothing at all"


def describe(
    kept: StoredWorkflow, past: Sequence[HistoryEntry], dead_letters: Sequence[DeadLetter]
) -> WorkflowDescription:
    """Say how a workflow stands. *past*: the newest lines of its history; *letters*: of anybody."""
    record = kept.record
    sent = {line.event.id: line for line in past if line.kind == "produced" and line.event}
    wishes, unread = told_by_flow(record)
    return WorkflowDescription(
        record=record,
        began=kept.began,
        changed=kept.changed,
        requests=tuple(_open(id_, sent.get(id_)) for id_ in record.unanswered),
        wishes=wishes,
        unread=unread,
        letters=tuple(each for each in dead_letters if each.event.subject == record.subject),
    )


def _open(id_: str, line: HistoryEntry | None) -> PendingRequest:
    if line is None or line.event is None:
        return PendingRequest(id_, None, None)
    return PendingRequest(id_, line.event.type, line.at)


def _said(time: datetime) -> str:
    return f"{time:{_TIME}}"


_TIME: Final = "%Y-%m-%d %H:%M:%S %Z"

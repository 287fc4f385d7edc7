"""Results: the values that a backend returns: commit results, stored workflows, queue depth."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, TypedDict, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.events.subject import subject_label
from arvo.core.labels import Label
from arvo.core.record import Record, Status
from arvo.core.violations.issue import one_line
from arvo.printable import printable


@final
@frozen
class Committed:
    """The commit is applied, and its messages will be delivered."""


@final
@frozen
class Conflict:
    """The record has changed since it was loaded: load it and step again.

    *revision* is the revision in the store, 0 if it holds no record.
    """

    revision: int


@final
@frozen
class Duplicate:
    """This handler has consumed this event of this subject before; nothing was applied again."""


@final
@frozen
class IdReused:
    """This handler has consumed another event with the source, the id and the subject of this one.

    Its `inbox_digest` differs. Nothing was applied, and the delivery stays with the worker.
    """


@final
@frozen
class Fenced:
    """The delivery belongs to another worker, because this worker's lease expired.

    Nothing was applied; the other worker processes the event.
    """


@final
@frozen
class CancellationPending:
    """The cancellation *event* of the workflow was accepted before the commit: take its turn first.

    Nothing was applied, and the delivery stays with the worker.
    """

    event: Event[Any]


@final
@frozen
class WorkflowIdTaken:
    """Another run of this handler has the workflow id that the event would begin: that of *record*.

    Nothing was applied, and the delivery stays with the worker, which refuses the event.
    """

    record: Record


CommitResult: TypeAlias = (
    Committed | Conflict | Duplicate | IdReused | Fenced | CancellationPending | WorkflowIdTaken
)
CheckpointResult: TypeAlias = Committed | Fenced
DeadLetterResult: TypeAlias = Committed | Duplicate | Fenced


def compare_digests(stored: str | None, digest: str) -> Duplicate | IdReused:
    """Return the result for an event whose consumption an inbox has *stored*.

    *stored* and *digest*: the `inbox_digest` of the event that was consumed, empty or None where an
    earlier version has stored none, and of the event that comes now.
    """
    return Duplicate() if not stored or stored == digest else IdReused()


class WorkflowFilters(TypedDict, total=False):
    """The filters of `workflows`; see there."""

    status: Status | None
    version: str | None
    workflow_id: str | None
    unchanged_since: datetime | None
    labels: Mapping[str, Label]
    text: str | None


class DeadLetterFilters(TypedDict, total=False):
    """What `dead_letters` and `dead_letter_groups` select by; see there."""

    subject: str | None
    handler: str | None
    type: str | None
    cause: str | None
    text: str | None
    since: datetime | None


@final
@frozen(kw_only=True)
class DeadLetterGroup:
    """The dead letters with one *cause*, *handler* and *type* of event: their *number*, and the
    times of the *first* and the *last* of them.

    *cause*, *handler*: as in `DeadLetter`. `str` formats it as two lines for an operator.
    """

    cause: str
    handler: str | None
    type: str
    number: int
    first: datetime
    last: datetime

    def __str__(self) -> str:
        to = "" if self.handler is None else f" for {printable(self.handler)}"
        times = f"{self.first:{_TIME}} to {self.last:{_TIME}}"
        return f"{self.number}  {printable(self.type)}{to}  {times}\n  {self.cause}"


@final
@frozen(kw_only=True)
class StoredWorkflow:
    """A workflow in a backend: its *record*, the time it *began*, and the time it last *changed*.

    `str` formats it as two lines for an operator, with its workflow id and a shortened subject.
    """

    record: Record
    began: datetime
    changed: datetime

    def __str__(self) -> str:
        record = self.record
        text = f"{printable(record.handler)} {printable(record.version)}"
        text += f"  {record.status}  since {self.changed:{_TIME}}"
        if record.failure is not None:
            text += f": {one_line(record.failure.message)}"
        elif record.status == "active":
            text += f", open requests: {len(record.open_requests)}, timers: {len(record.timers)}"
        return f"{text}\n  {printable(subject_label(record.subject))}"


@final
@frozen
class VersionUse:
    """How many workflows run a *version* of a *handler*: the *active* and the *failed* ones.

    A failed one needs the version when it is revived.
    """

    handler: str
    version: str
    active: int
    failed: int

    def __str__(self) -> str:
        name = printable(f"{self.handler}@{self.version}")
        return f"{name}  active: {self.active}, failed: {self.failed}"


@final
@frozen(kw_only=True)
class DueTimer:
    """A timer that a workflow has set and that has not fired: its *id* and *name*, the *subject*
    and the *handler* of the workflow, and the time at which it is *due*.
    """

    id: str
    name: str
    subject: str
    handler: str
    due: datetime

    def __str__(self) -> str:
        head = f"{self.due:{_TIME}}  {one_line(self.name)}  {printable(self.handler)}"
        return f"{head}\n  {printable(subject_label(self.subject))}"


@final
@frozen(kw_only=True)
class Depth:
    """How many messages a backend holds, in all processes.

    *ready*: a worker may receive them now. *taken*: delivered, and not yet acknowledged. *delayed*:
    returned by `nack`, and waiting for their delay, or parked until a slot of a limit is free.
    *timers*: set by workflows and not yet due; they do not count as messages under way.
    """

    ready: int = 0
    taken: int = 0
    delayed: int = 0
    timers: int = 0

    @property
    def total(self) -> int:
        """The number of messages under way: ready, taken and delayed."""
        return self.ready + self.taken + self.delayed


_TIME: Final = "%Y-%m-%d %H:%M:%S %Z"
# One page of workflows, and of history entries: more than a person reads, and far less than fills
# the memory of a process.
PAGE_MAX: Final = 100
HISTORY_PAGE_MAX: Final = 1_000

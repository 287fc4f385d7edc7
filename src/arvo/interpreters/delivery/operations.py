"""Operations: the parameters of the read and write operations of a backend, as values."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, final

from attrs import frozen

from arvo.core.commit import PendingTimer
from arvo.core.events.event import Event
from arvo.core.record import Record, Status
from arvo.interpreters.delivery.codec import to_milliseconds
from arvo.interpreters.ports.messages import DeadLetter
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow


@final
@frozen
class WorkflowQuery:
    """The parameters of `Backend.workflows`."""

    status: Status | None
    handler: str | None
    unchanged_since: datetime | None
    after: StoredWorkflow | None
    limit: int


@final
@frozen
class DeadLetterQuery:
    """The parameters of `Backend.dead_letters`."""

    after: DeadLetter | None = None
    limit: int = PAGE_MAX
    subject: str | None = None


def dead_letter_key(dead_letter: DeadLetter) -> tuple[int, str]:
    """Return the place of a dead letter in the list: its time in milliseconds, and its id."""
    return time_key(dead_letter.at), dead_letter.id


def time_key(at: str) -> int:
    """Return the milliseconds of an RFC 3339 time, by which dead letters are sorted."""
    time = datetime.fromisoformat(at)
    return to_milliseconds(time if time.tzinfo else time.replace(tzinfo=UTC))


@final
@frozen
class Replacement:
    """The parameters of `Backend.replace_record`."""

    record: Record
    expected: int
    timers: Sequence[PendingTimer] = ()
    redeliver: Sequence[Event[Any]] = ()

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """The events that the workflow may consume again: those of the timers, and redelivered."""
        return (*(timer.event for timer in self.timers), *self.redeliver)

"""Operations: the parameters of the read and write operations of a backend, as values."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, final

from attrs import frozen

from arvo.core.commit import PendingTimer
from arvo.core.events.event import Event
from arvo.core.record import Record, Status
from arvo.interpreters.ports.results import StoredWorkflow


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

"""Workflows: the records of the memory backend, with the times of their first and last write."""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from heapq import nlargest
from typing import Final, final

from attrs import define, field

from arvo.core.record import Record, Status
from arvo.interpreters.ports.results import StoredWorkflow

# Ended workflows that are stored. Memory is limited, so the oldest are dropped.
ENDED_MAX: Final = 100_000


@final
@define(eq=False)
class MemoryWorkflows:
    """Stored workflows by subject. *on_drop* is called with each subject that is dropped."""

    on_drop: Callable[[str], None]
    _workflows: dict[str, StoredWorkflow] = field(factory=dict, init=False)
    # Subjects of workflows that are done or cancelled, in the order in which they ended.
    _ended: deque[str] = field(factory=deque, init=False)

    def get(self, subject: str) -> StoredWorkflow | None:
        """Return a workflow."""
        return self._workflows.get(subject)

    def revision(self, subject: str) -> int:
        """Return the revision of a workflow's record, 0 if there is none."""
        stored = self._workflows.get(subject)
        return 0 if stored is None else stored.record.revision

    def write(self, record: Record, now: datetime) -> None:
        """Store a record."""
        before = self._workflows.get(record.subject)
        began = now if before is None else before.began
        self._workflows[record.subject] = StoredWorkflow(record=record, began=began, changed=now)
        if record.status in ("done", "cancelled"):
            self._ended.append(record.subject)
            if len(self._ended) > ENDED_MAX:
                oldest = self._ended.popleft()
                self._workflows.pop(oldest, None)
                self.on_drop(oldest)

    def page(
        self,
        *,
        status: Status | None,
        handler: str | None,
        unchanged_since: datetime | None,
        after: StoredWorkflow | None,
        limit: int,
    ) -> tuple[StoredWorkflow, ...]:
        """List workflows as `Backend.workflows` does."""
        selected = (
            stored
            for stored in self._workflows.values()
            if status in (None, stored.record.status)
            and handler in (None, stored.record.handler)
            and (unchanged_since is None or stored.changed < unchanged_since)
            and (after is None or _sort_key(stored) < _sort_key(after))
        )
        return tuple(nlargest(limit, selected, key=_sort_key))


def _sort_key(stored: StoredWorkflow) -> tuple[datetime, str]:
    return stored.changed, stored.record.subject

"""Workflows: the records of the memory backend, with the times of their first and last write."""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, final

from attrs import define, field

from arvo.core.begin import find_holder
from arvo.core.events.event import Event
from arvo.core.events.subject import workflow_id_of
from arvo.core.record import ENDED_STATUSES, Record
from arvo.interpreters.delivery.operations import VersionCounter, WorkflowQuery, select_workflows
from arvo.interpreters.ports.results import StoredWorkflow, VersionUse

# Ended workflows that are stored. Memory is limited, so the oldest are dropped.
ENDED_MAX: Final = 100_000


@final
@define(eq=False)
class MemoryWorkflows:
    """Stored workflows by subject. *on_drop* is called with each subject that is dropped."""

    on_drop: Callable[[str], None]
    _workflows: dict[str, StoredWorkflow] = field(factory=dict, init=False)
    # The subjects by workflow id. Nearly all have one, for which a set would take 200 bytes.
    _subjects: dict[str, tuple[str, ...]] = field(factory=dict, init=False)
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
        if before is None:
            id_ = workflow_id_of(record.subject)
            self._subjects[id_] = (*self._subjects.get(id_, ()), record.subject)
        if record.status in ENDED_STATUSES:
            self._ended.append(record.subject)
            if len(self._ended) > ENDED_MAX:
                self._drop_oldest()

    def page(self, query: WorkflowQuery) -> tuple[StoredWorkflow, ...]:
        """List workflows as `Backend.workflows` does."""
        workflows: Iterable[StoredWorkflow] = self._workflows.values()
        if query.workflow_id is not None:
            subjects = self._subjects.get(query.workflow_id, ())
            workflows = [self._workflows[subject] for subject in subjects]
        return select_workflows(query, workflows)

    def find_holder(self, key: tuple[str, str], event: Event[Any]) -> Record | None:
        """Return the record of another run that has the workflow id which *event* begins.

        *key*: its `begun_id`.
        """
        handler, id_ = key
        records = [self._workflows[each].record for each in self._subjects.get(id_, ())]
        return find_holder([each for each in records if each.handler == handler], event)

    def versions(self) -> tuple[VersionUse, ...]:
        """Count the active and the failed workflows by handler and version."""
        counter = VersionCounter()
        for stored in self._workflows.values():
            counter.add(stored.record)
        return counter.uses()

    def _drop_oldest(self) -> None:
        """Drop the workflow that ended first, unless its next run has begun."""
        oldest = self._ended.popleft()
        stored = self._workflows.get(oldest)
        if stored is None or stored.record.status not in ENDED_STATUSES:
            return
        del self._workflows[oldest]
        id_ = workflow_id_of(oldest)
        others = tuple(each for each in self._subjects.pop(id_) if each != oldest)
        if others:
            self._subjects[id_] = others
        self.on_drop(oldest)

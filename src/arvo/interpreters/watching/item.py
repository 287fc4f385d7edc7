"""Item: what a watcher of a workflow sees."""

from typing import Any, TypeAlias, final

from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.events.protocol import SystemFault
from arvo.core.history import HistoryEntry
from arvo.core.record import Status
from arvo.interpreters.reports.report import Report


@final
@frozen(kw_only=True)
class WorkflowEnded:
    """The last item that a watcher of a workflow gets: its outcome.

    *status*: `done`, `failed` or `cancelled`; None if the backend has removed the workflow since.
    *completion*: the event by which it completed, if it is done and its history still has that.
    *failure*: why it failed.
    """

    status: Status | None
    completion: Event[Any] | None = None
    failure: SystemFault | None = None


WatchItem: TypeAlias = HistoryEntry | Report | WorkflowEnded

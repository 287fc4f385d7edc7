"""Watch: the command that follows one workflow until it ends."""

from contextlib import aclosing
from typing import Any

from arvo.cli.terminal.load import EMPTY_SYSTEM, Url, require_existing
from arvo.cli.terminal.output import TEXT, Output, print_status
from arvo.core.history import HistoryEntry
from arvo.core.violations.issue import one_line
from arvo.interpreters.reports.report import Report
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.watching.item import WatchItem, WorkflowEnded


async def watch(workflow: str, /, *, after: int = -1, backend: Url, output: Output = TEXT) -> int:
    """Print each event of a workflow as it is consumed or produced, until the workflow ends.

    Exit code 0 if it is done, 1 if it failed or was cancelled. By its subject a workflow can be
    watched before it begins.

    Parameters
    ----------
    after
        The position of the last history entry that is not printed again.
    """
    async with (
        Client(EMPTY_SYSTEM, require_existing(backend)) as client,
        aclosing(client.watch(workflow, after=after)) as items,
    ):
        if not client.carries_reports:
            print_status("this backend carries no reports of effects: the history alone is shown")
        async for item in items:
            output.show(_to_json(item), _describe(item))
            if isinstance(item, WorkflowEnded):
                return int(item.status != "done")
    return 1


def _to_json(item: WatchItem) -> dict[str, Any]:
    match item:
        case HistoryEntry():
            return item.to_dict()
        case Report():
            return {"kind": "report", **item.to_dict()}
        case WorkflowEnded(status=status, failure=failure):
            error = None if failure is None else {"name": failure.name, "message": failure.message}
            return {"kind": "ended", "status": status, "error": error}


def _describe(item: WatchItem) -> str:
    match item:
        case HistoryEntry() | Report():
            return str(item)
        case WorkflowEnded(status=None):
            return "the workflow is no longer stored"
        case WorkflowEnded(status=status, failure=None):
            return f"{status}"
        case WorkflowEnded(status=status, failure=failure):
            assert failure is not None
            return f"{status}: {one_line(failure.name)}: {one_line(failure.message)}"

"""Reads: what a page takes from the client, with a limit on each."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from arvo.console.requests.access import Reader
from arvo.console.requests.visit import Refused, Visit
from arvo.console.views.workflows import COUNTED_MAX
from arvo.core.history import HistoryEntry
from arvo.core.violations.violation import Violated
from arvo.interpreters.http.workflow_json import from_path
from arvo.interpreters.ports.backend import find_outputs
from arvo.interpreters.ports.results import HISTORY_PAGE_MAX, PAGE_MAX, StoredWorkflow
from arvo.interpreters.ports.services import SupportsServiceRegistry, WorkerServices
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.lookup import is_subject

NO_HISTORY: Final = "This backend stores no history of a workflow: give its store an index."


async def find_workflow(client: Client, reader: Reader, path: str) -> StoredWorkflow:
    """Return a workflow by its subject or workflow id, as it stands in an address."""
    try:
        subject = await client.find_subject(from_path(path))
    except Violated as violated:
        raise Refused(404, "Several workflows have this id", str(violated)) from violated
    record = await client.record(subject)
    stored = None if record is None else await client.backend.workflow(subject)
    if stored is None:
        raise Refused(
            404,
            "There is no such workflow",
            "No workflow has this id or subject. It may never have begun here, or retention has "
            "removed it after it ended.",
        )
    if not await reader.may("see", stored.record):
        raise Refused(403, "Not allowed", "You may not see this workflow.")
    return stored


async def count_workflows(
    client: Client, selection: Mapping[str, Any], number_max: int = COUNTED_MAX
) -> int:
    """Return how many workflows *selection* has, the arguments of `Client.workflows`.

    Counts no further than the page on which there are more than *number_max*.
    """
    number, after = 0, None
    while number <= number_max:
        # A backend in memory answers at once: other pages and events come between.
        await asyncio.sleep(0)
        page = await client.workflows(**{**selection, "after": after})
        number += len(page)
        if len(page) < PAGE_MAX:
            break
        after = page[-1]
    return number


def stores_history(client: Client) -> bool:
    """Return whether the backend keeps the histories of workflows."""
    return find_outputs(client.backend) is None


def require_history(client: Client) -> None:
    """Refuse a page of a history on a backend that stores none."""
    if not stores_history(client):
        raise Refused(501, "No history", NO_HISTORY)


async def history_pages(
    client: Client, subject: str, end: int
) -> AsyncIterator[tuple[HistoryEntry, ...]]:
    """Yield the entries of a history before position *end*, oldest first, page by page."""
    for start in range(0, end, HISTORY_PAGE_MAX):
        before = min(end, start + HISTORY_PAGE_MAX)
        page = await client.backend.history(subject, before=before, limit=HISTORY_PAGE_MAX)
        # Where retention has removed entries, a page reaches back behind those before it.
        yield tuple(entry for entry in page if entry.position >= start)


async def history_end(client: Client, subject: str) -> int:
    """Return the position behind the last entry of a history."""
    require_history(client)
    newest = await client.backend.history(subject, limit=1)
    return newest[-1].position + 1 if newest else 0


async def may_see(client: Client, visit: Visit, subject: str) -> bool:
    """Return whether the user may see the workflow with *subject*, if that is one."""
    record = await client.record(subject) if is_subject(subject) else None
    return await visit.reader.may("see", record)


async def live_workers(client: Client) -> tuple[WorkerServices, ...] | None:
    """Return the live workers of all processes; None where the backend does not list them."""
    backend = client.backend
    return await backend.services.list() if isinstance(backend, SupportsServiceRegistry) else None

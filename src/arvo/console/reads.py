"""Reads: what a page takes from the client, with a limit on each."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from arvo.console.access import Reader
from arvo.console.replay.slices import own_entry, private_system
from arvo.console.views.workflows import COUNTED_MAX
from arvo.console.visit import Refused
from arvo.core.history import HistoryEntry
from arvo.core.record import Record
from arvo.core.violations.violation import Violated
from arvo.engine.history.replay import Replay, replay
from arvo.engine.history.typed import typed_entry
from arvo.interpreters.http.workflow_json import from_path
from arvo.interpreters.ports.backend import find_outputs
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow
from arvo.interpreters.runtime.client import Client
from arvo.interpreters.runtime.operations import history_entries

# A page shows every turn of a replay, and a replay takes up to a millisecond for an entry.
REPLAY_ENTRIES_MAX: Final = 5_000
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


async def read_history(client: Client, subject: str) -> tuple[HistoryEntry, ...]:
    """Return the whole history of a workflow, oldest first, for a replay.

    Refuses one of more than `REPLAY_ENTRIES_MAX` entries.
    """
    require_history(client)
    entries: list[HistoryEntry] = []
    async for entry in history_entries(client.backend, subject):
        entries.append(entry)
        if len(entries) > REPLAY_ENTRIES_MAX:
            raise Refused(
                413,
                "The history is too long",
                f"It has more than {REPLAY_ENTRIES_MAX} entries, too many for one page: see its "
                "turns by time travel, or replay it in a script, by `Client.replay`.",
            )
    return tuple(own_entry(typed_entry(client.system, entry)) for entry in reversed(entries))


async def read_replay(client: Client, record: Record) -> tuple[tuple[HistoryEntry, ...], Replay]:
    """Return the history of a workflow and its replay by the system of the console."""
    history = await read_history(client, record.subject)
    system = private_system(client.system)
    return history, await asyncio.to_thread(replay, system, history, record=record)

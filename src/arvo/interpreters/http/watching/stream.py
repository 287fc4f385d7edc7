"""Stream: writes what a watcher gets as server-sent events (HTML Living Standard §9.2)."""

from typing import Any, Final

import orjson

from arvo.core.history import HistoryEntry
from arvo.engine.system.schemas import Schemas
from arvo.interpreters.reports.report import Report
from arvo.interpreters.watching.item import WatchItem, WorkflowEnded

# The first line of a stream of a backend that carries no reports.
NO_REPORTS: Final = b": this backend carries no reports of effects: the history alone\n\n"


def write_item(schemas: Schemas, item: WatchItem | None) -> bytes:
    """Write an item, or a comment where none came for a while; no secret leaves the server.

    Only an entry of the history has an id: a client that reconnects with it goes on behind that.
    """
    match item:
        case None:
            return b": no news\n\n"
        case HistoryEntry():
            return _write(item.kind, entry_json(schemas, item), item.position)
        case Report():
            return _write("report", item.to_dict())
        case WorkflowEnded():
            return _write("end", _end_json(schemas, item))


def entry_json(schemas: Schemas, entry: HistoryEntry) -> dict[str, Any]:
    """Return an entry as JSON data, without the record, for the state of a workflow is private."""
    content = entry.to_dict()
    del content["record"]
    if entry.event is not None:
        content["event"]["data"] = schemas.hide_secrets(entry.event)
    return content


def _end_json(schemas: Schemas, ended: WorkflowEnded) -> dict[str, Any]:
    content: dict[str, Any] = {"status": ended.status}
    if ended.failure is not None:
        content["error"] = {"name": ended.failure.name, "message": ended.failure.message}
    if (completion := ended.completion) is not None:
        content |= {"type": completion.type, "data": schemas.hide_secrets(completion)}
    return content


def _write(name: str, content: dict[str, Any], id_: int | None = None) -> bytes:
    """Write an event; JSON has no newline."""
    head = "" if id_ is None else f"id: {id_}\n"
    return f"{head}event: {name}\ndata: {orjson.dumps(content).decode()}\n\n".encode()

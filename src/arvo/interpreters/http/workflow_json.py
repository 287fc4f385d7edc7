"""Workflow JSON: workflows as JSON, one or a page of them, and their subjects in a URL."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, get_args

from attrs import frozen

from arvo.core.events.subject import workflow_id_of
from arvo.core.labels import LABELS_MAX
from arvo.core.record import Status
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ContractViolation, Violated
from arvo.interpreters.ports.results import PAGE_MAX, StoredWorkflow
from arvo.interpreters.runtime.description import WorkflowDescription
from arvo.interpreters.runtime.lookup import is_subject

if TYPE_CHECKING:
    # The OpenAPI document is made without the extra `http`, too.
    from starlette.datastructures import QueryParams

PARAMETERS: Final = (
    "status",
    "type",
    "version",
    "workflow_id",
    "label",
    "text",
    "after",
    "limit",
)
STATUSES: Final = get_args(Status)
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}")


def to_path(subject: str) -> str:
    """Encode a subject for the path of a URL, as base64url (RFC 4648 §5).

    Base64 has slashes, and servers and proxies split or drop them, escaped or not.
    """
    return subject.translate(_TO_URL).rstrip("=")


def from_path(text: str) -> str:
    """Decode a subject from a path, encoded by `to_path` or not, or return a workflow id."""
    base64 = text.translate(_FROM_URL).rstrip("=")
    padded = base64 + "=" * (-len(base64) % 4)
    return padded if is_subject(padded) else text


_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")


def to_json(workflow: WorkflowDescription) -> dict[str, Any]:
    """Return the description of a workflow as JSON data, without its state, which is private."""
    record = workflow.record
    failure = record.failure
    return {
        "workflow_id": workflow_id_of(record.subject) or None,
        "subject": record.subject,
        "handler": record.handler,
        "version": record.version,
        "status": record.status,
        "revision": record.revision,
        "labels": dict(record.labels),
        "began": workflow.began,
        "changed": workflow.changed,
        "failure": None if failure is None else {"name": failure.name, "message": failure.message},
        "requests": [
            {"id": request.id, "type": request.type, "since": request.since}
            for request in workflow.requests
        ],
        "timers": [{"name": name, "due": timer.at} for name, timer in record.timers.items()],
        "waiting_for": list(workflow.waiting_for),
        "unread_signals": list(workflow.unread_signals),
        "dead_letters": [
            {
                "id": dead_letter.id,
                "type": dead_letter.event.type,
                "reason": dead_letter.reason,
                "at": dead_letter.at,
            }
            for dead_letter in workflow.dead_letters
        ],
    }


@frozen(kw_only=True)
class Listing:
    """The workflows that a client asks for: *filters* of `Client.workflows`, and one page of them.

    *after*: when the last workflow of the page before had changed, and its subject.
    """

    filters: Mapping[str, Any]
    after: tuple[datetime, str] | None
    limit: int


def read_listing(query: "QueryParams") -> Listing:
    """Read the parameters of a URL; raises `Violated` that names each one that is wrong."""
    issues = tuple(_issues(query))
    if issues:
        raise Violated(ContractViolation("the request cannot be read", issues))
    names = ("status", "type", "version", "workflow_id", "text")
    filters: dict[str, Any] = {name: query[name] for name in names if name in query}
    labels = query.getlist("label")
    if labels:
        filters["labels"] = dict(each.split(":", 1) for each in labels)
    return Listing(
        filters=filters,
        after=_read_cursor(query["after"]) if "after" in query else None,
        limit=int(query.get("limit", PAGE_MAX)),
    )


def page_json(workflows: Sequence[StoredWorkflow], last: StoredWorkflow | None) -> dict[str, Any]:
    """Return a page as JSON data. *last*: the workflow behind which the next page begins."""
    rows = [
        {
            "workflow_id": workflow_id_of(each.record.subject) or None,
            "subject": each.record.subject,
            "type": each.record.handler,
            "version": each.record.version,
            "status": each.record.status,
            "labels": dict(each.record.labels),
            "began": each.began,
            "changed": each.changed,
        }
        for each in workflows
    ]
    return {"workflows": rows, "next": None if last is None else _write_cursor(last)}


def _write_cursor(last: StoredWorkflow) -> str:
    return f"{last.changed.isoformat().replace('+00:00', 'Z')}~{to_path(last.record.subject)}"


def _read_cursor(text: str) -> tuple[datetime, str] | None:
    """Return the time and the subject in a cursor; None for a text that is none."""
    at, separator, subject = text.partition("~")
    try:
        changed = datetime.fromisoformat(at)
    except ValueError:
        return None
    if not separator or changed.tzinfo is None:
        return None
    return changed, from_path(subject)


def _issues(query: "QueryParams") -> Iterator[Issue]:
    for name in dict.fromkeys(query.keys()):
        values = query.getlist(name)
        if name not in PARAMETERS:
            yield Issue(name, f"only {', '.join(PARAMETERS)}", short_repr(name))
        elif name != "label" and len(values) > 1:
            yield Issue(name, "one value", short_repr(values))
    if query.get("status", STATUSES[0]) not in STATUSES:
        yield Issue("status", f"one of {', '.join(STATUSES)}", short_repr(query["status"]))
    if "after" in query and _read_cursor(query["after"]) is None:
        yield Issue("after", "the `next` of the page before", short_repr(query["after"]))
    labels = query.getlist("label")
    names = [each.partition(":")[0] for each in labels]
    if wrong := [each for each in labels if ":" not in each]:
        yield Issue("label", "name:value, such as customer:ann", short_repr(wrong[0]))
    elif len(set(names)) < len(names):
        yield Issue("label", "each name once", short_repr(names))
    elif len(labels) > LABELS_MAX:
        yield Issue("label", f"at most {LABELS_MAX} labels", str(len(labels)))
    limit = query.get("limit", "1")
    if not _LIMIT.fullmatch(limit) or int(limit) > PAGE_MAX:
        yield Issue("limit", f"a number from 1 to {PAGE_MAX}", short_repr(limit))

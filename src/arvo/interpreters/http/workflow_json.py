"""Workflow JSON: the description of a workflow as JSON, and its subject in a URL."""

from typing import Any

from arvo.core.events.subject import workflow_id_of
from arvo.interpreters.runtime.description import WorkflowDescription
from arvo.interpreters.runtime.lookup import is_subject


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

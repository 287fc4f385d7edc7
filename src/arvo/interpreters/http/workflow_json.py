"""Workflow: how one stands, as JSON, and its name in a URL."""

from typing import Any

from arvo.core.events.subject import Subject
from arvo.core.events.uri import is_uri
from arvo.core.violations.violation import Violated
from arvo.interpreters.runtime.description import WorkflowDescription


def in_path(subject: str) -> str:
    """Write a workflow's subject so that it may stand in a path: as base64url (RFC 4648 §5).

    Base64 has slashes, which servers and proxies take apart or swallow, escaped or not.
    """
    return subject.translate(_TO_URL).rstrip("=")


def out_of_path(text: str) -> str | None:
    """Read a subject from a path, as `in_path` writes it or as it stands; None: it is none."""
    plain = text.translate(_FROM_URL).rstrip("=")
    padded = plain + "=" * (-len(plain) % 4)
    if _is_workflow(padded):
        return padded
    return text if is_uri(text) else None


_TO_URL = str.maketrans("+/", "-_")
_FROM_URL = str.maketrans("-_", "+/")


def _is_workflow(text: str) -> bool:
    try:
        Subject.parse(text)
    except Violated:
        return False
    return True


def as_json(standing: WorkflowDescription) -> dict[str, Any]:
    """Say how a workflow stands; not what it remembers, which is its own."""
    record = standing.record
    failure = record.failure
    return {
        "subject": record.subject,
        "handler": record.handler,
        "version": record.version,
        "status": record.status,
        "revision": record.revision,
        "began": standing.began,
        "changed": standing.changed,
        "failure": None if failure is None else {"name": failure.name, "message": failure.message},
        "requests": [
            {"id": each.id, "type": each.type, "since": each.since} for each in standing.requests
        ],
        "timers": [{"name": name, "due": timer.at} for name, timer in record.timers.items()],
        "waits": list(standing.wishes),
        "unread": list(standing.unread),
        "letters": [
            {"id": each.id, "type": each.event.type, "reason": each.reason, "at": each.at}
            for each in standing.letters
        ],
    }

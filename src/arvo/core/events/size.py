"""Size: the limit on the bytes of an event, one for every backend and every reader."""

from typing import Any

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.violations.issue import Issue


def size_in_bytes(event: Event[Any]) -> int:
    """Return the bytes of an event as JSON, in the form that `Event.parse` reads."""
    return len(event.to_bytes())


def size_issue(event: Event[Any]) -> Issue | None:
    """Return what is wrong with an event that is larger than `Event.parse` accepts, else None."""
    size = len(event.to_bytes())
    if size <= EVENT_BYTES_MAX:
        return None
    return Issue(f"event {event.type}", f"at most {EVENT_BYTES_MAX} bytes as JSON", f"{size}")

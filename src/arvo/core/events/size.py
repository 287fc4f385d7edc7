"""Size: the limit on the bytes of an event, one for every backend and every reader."""

from typing import Any, Final

import orjson

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.core.violations.issue import Issue

# What an event may have beside data that a blob store takes: a reference, or data that is just too
# small for the store, travels with it.
ATTRIBUTES_BYTES_MAX: Final = EVENT_BYTES_MAX // 4


def size_in_bytes(event: Event[Any]) -> int:
    """Return the bytes of an event as JSON, in the form that `Event.parse` reads."""
    return len(event.to_bytes())


def size_issue(event: Event[Any], data_bytes_max: int = 0) -> Issue | None:
    """Return the fault of an event that is larger than `Event.parse` accepts, else None.

    *data_bytes_max*: large data travels as a reference, and may have so many bytes.
    """
    size = len(event.to_bytes())
    if size <= EVENT_BYTES_MAX:
        return None
    path, expected = f"event {event.type}", f"at most {EVENT_BYTES_MAX} bytes as JSON"
    if not data_bytes_max:
        return Issue(path, expected, f"{size}")
    data = len(orjson.dumps(event.raw))
    if data > data_bytes_max:
        return Issue(f"{path}: data", f"at most {data_bytes_max} bytes as JSON", f"{data}")
    if size - data > ATTRIBUTES_BYTES_MAX:
        expected = f"at most {ATTRIBUTES_BYTES_MAX} bytes beside its data"
        return Issue(path, expected, f"{size - data}")
    return None

"""Digest: whether two events of one id say the same."""

from hashlib import blake2b
from typing import Any, Final

import orjson

from arvo.core.events.event import Event

# Not the time, the trace and the credentials: they differ where a sender repeats an event. Nor the
# content type and extensions: HTTP's binary mode changes them.
_ATTRIBUTES: Final = (
    "source",
    "type",
    "subject",
    "to",
    "redirectto",
    "parentid",
    "domain",
    "dataschema",
)


def content_digest(event: Event[Any]) -> str:
    """Return 32 hex digits that identify the sender, the addresses and the data of an event."""
    content = [getattr(event, name) for name in _ATTRIBUTES]
    text = orjson.dumps([*content, event.raw], option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=16).hexdigest()

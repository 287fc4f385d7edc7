"""Digest: whether two events of one id say the same."""

from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final

import orjson

from arvo.core.events.event import Event

# Not the time, the trace and the credentials: they differ where a sender repeats an event. Nor the
# content type and extensions: HTTP's binary mode changes them.
_attributes: Final = attrgetter(
    "source",
    "type",
    "subject",
    "to",
    "redirectto",
    "parentid",
    "domain",
    "dataschema",
)


# Hex digits that an inbox stores for each event that was consumed: 64 bits. Another event that has
# the same ones, by chance or by much calculation, is taken for a repetition and dropped.
INBOX_DIGITS: Final = 16


def inbox_digest(event: Event[Any]) -> str:
    """Return the first digits of `content_digest`, as an inbox stores them."""
    return content_digest(event)[:INBOX_DIGITS]


def content_digest(event: Event[Any]) -> str:
    """Return 32 hex digits that identify the sender, the addresses and the data of an event."""
    text = orjson.dumps([*_attributes(event), event.raw], option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=16).hexdigest()

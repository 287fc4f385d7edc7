"""Fork: the record and the requests with which a workflow begins in the middle of another one."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any, Final, Self, final

import orjson
from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ExecutionViolation, Violated

# A decompression bomb inflates a thousandfold; the record of a fork comes from an event of 1 MiB.
CONTENT_BYTES_MAX: Final = 64 * 1024 * 1024


@final
@frozen
class ForkContent:
    """The content of the event that begins a fork.

    *record*: its record after the first turn. *requests*: the events that this turn sends. *begin*:
    the event that began the first workflow, None where its history no longer holds it.
    """

    record: Record
    requests: tuple[Event[Any], ...] = ()
    begin: Event[Any] | None = None

    def pack(self) -> str:
        """Return the content as text: base64 of zlib of JSON, as a subject is."""
        content = {
            "record": self.record.to_dict(),
            "requests": [event.to_dict() for event in self.requests],
            "begin": None if self.begin is None else self.begin.to_dict(),
        }
        return base64.b64encode(zlib.compress(orjson.dumps(content))).decode()

    @classmethod
    def unpack(cls, text: str) -> Self:
        """Read the result of `pack`; raises `Violated` for any other text."""
        try:
            inflater = zlib.decompressobj()
            data = inflater.decompress(base64.b64decode(text, validate=True), CONTENT_BYTES_MAX)
            content = orjson.loads(data)
        except (binascii.Error, ValueError, zlib.error):
            content = None
        match content:
            case {"record": Mapping() as record, "requests": list(requests), "begin": begin}:
                return cls(
                    Record.from_dict(record),
                    tuple(map(Event.from_dict, requests)),
                    None if begin is None else Event.from_dict(begin),
                )
            case _:
                issue = Issue("data.content", "the content of a fork", short_repr(text))
                raise Violated(ExecutionViolation("unreadable fork", issue))

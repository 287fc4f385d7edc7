"""Record log: how a database stores a record that grows, at a cost that does not grow with it."""

from typing import Final, final

from attrs import frozen

from arvo.core.record import Record
from arvo.interpreters.codecs.codec import Codec
from arvo.interpreters.delivery.codec import encode_change, encode_record

# A record up to this size is written whole in each turn, in the row of its workflow: a database
# writes a page of about this size for any change of the row.
RECORD_BYTES_MAX: Final = 4096
# A turn that drops fewer entries does not make a record small again.
DROPPED_MIN: Final = 100


@final
@frozen
class RecordEntry:
    """A record as one turn writes it.

    A large record is a log: the whole record as of some turn, and the change of each turn since.
    *content*: the whole record, or the change of this turn. *room*: how many bytes of changes may
    follow until the record is written whole again, 0 for a small record, which has no log.
    """

    content: bytes
    is_whole: bool
    room: int

    @property
    def in_row(self) -> bytes:
        """The content of the workflow's row: a small record, or nothing."""
        return b"" if self.room else self.content


def next_entry(
    record: Record, before: Record | None, room: int, codec: Codec | None = None
) -> RecordEntry:
    """Return what to write for a record that follows *before*, whose stored entry left *room*.

    The changes since the last whole record take no more bytes than it does. So a record is read at
    twice its cost at most, and over its life no more than three times its bytes are written.
    """
    if room and before is not None and not _has_shrunk(before, record):
        change = encode_change(before, record, codec)
        if len(change) < room:
            return RecordEntry(change, is_whole=False, room=room - len(change))
    whole = encode_record(record, codec)
    room = 0 if len(whole) <= RECORD_BYTES_MAX else len(whole)
    return RecordEntry(whole, is_whole=True, room=room)


def _has_shrunk(before: Record, after: Record) -> bool:
    """Return whether a turn has dropped most of a record: then the whole of it is small."""
    left = _count(after)
    return _count(before) - left > max(left, DROPPED_MIN)


def _count(record: Record) -> int:
    parts = (
        *(record.journal, record.compensations, record.children),
        *(record.pending_requests, record.answered_requests, record.timers),
    )
    return len(record.replies) + sum(map(len, parts))

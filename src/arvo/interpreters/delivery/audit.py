"""Audit: the entries of an audit log as bytes, and the parameters of its query."""

from datetime import timedelta
from typing import Final, final

import orjson
from attrs import asdict, frozen

from arvo.interpreters.delivery.codec import from_milliseconds, to_milliseconds
from arvo.interpreters.ports.audit import AuditEntry
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.results import PAGE_MAX

_MILLISECOND: Final = timedelta(milliseconds=1)


@final
@frozen
class AuditQuery:
    """The parameters of `Backend.audit_log`. *oldest*: milliseconds; what is older has expired."""

    after: AuditEntry | None = None
    limit: int = PAGE_MAX
    subject: str | None = None
    oldest: int = 0

    def selects(self, entry: AuditEntry) -> bool:
        """Return whether an entry is selected, for a store without an index."""
        key = audit_key(entry)
        return (
            self.subject in (None, entry.subject)
            and key[0] >= self.oldest
            and (self.after is None or key < audit_key(self.after))
        )


def oldest_audit(age: timedelta | None, now: int) -> int:
    """Return the time of the oldest entry to store; both in milliseconds."""
    return 0 if age is None else now - age // _MILLISECOND


def audit_key(entry: AuditEntry) -> tuple[int, str]:
    """Return the place of an entry: its time in milliseconds, and its id."""
    return to_milliseconds(entry.at), entry.id


def encode_audit(entry: AuditEntry) -> bytes:
    """Encode an entry."""
    return orjson.dumps({**asdict(entry), "at": to_milliseconds(entry.at)})


def decode_audit(content: bytes) -> AuditEntry:
    """Decode an entry; raises `Corrupt` if the bytes are not one."""
    try:
        body = orjson.loads(content)
        return AuditEntry(**{**body, "at": from_milliseconds(body["at"])})
    except (ValueError, TypeError, KeyError) as error:
        remedy = "restore the file from a backup, or ask for help with this message"
        raise Corrupt(
            f"the store holds an audit entry that cannot be read ({error}): {remedy}"
        ) from error

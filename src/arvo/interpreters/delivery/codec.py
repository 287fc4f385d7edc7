"""Rows: what is kept in a database, as bytes, and back."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, final

import orjson
from attrs import frozen

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import (
    ConfigViolation,
    ContractViolation,
    ExecutionViolation,
    TransactionViolation,
    Violated,
    Violation,
)
from arvo.engine.step.route import ToCaller, ToDomain, ToHandler
from arvo.interpreters.ports.backend import Corrupt, DeadLetter, Destination, Message

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@final
@frozen
class Row:
    """A delivery as it stands in a database: its number, the post, and how often it was tried."""

    id: int
    post: Message
    attempt: int


def event_bytes(event: Event[Any]) -> bytes:
    """Write an event."""
    return orjson.dumps(event.to_dict())


def event_of(content: bytes) -> Event[Any]:
    """Read an event; raises `Corrupt` where it is none."""
    try:
        return Event.from_dict(orjson.loads(content))
    except (Violated, ValueError) as error:
        raise _corrupt("an event", error) from error


def record_bytes(record: Record) -> bytes:
    """Write a record without its journal, which has lines of its own."""
    said = record.to_dict()
    del said["journal"]
    return orjson.dumps(said)


def whole_record_bytes(record: Record) -> bytes:
    """Write a record with its journal."""
    return orjson.dumps(record.to_dict())


def record_of(content: bytes, journal: list[bytes] | None) -> Record:
    """Read a record and the lines of its journal, None where they are in it; raises `Corrupt` where
    they are none.
    """
    try:
        said = orjson.loads(content)
        if journal is not None:
            said["journal"] = [orjson.loads(line) for line in journal]
        return Record.from_dict(said)
    except (Violated, ValueError, TypeError) as error:
        raise _corrupt("a record", error) from error


def destination_bytes(to: Destination) -> bytes:
    """Write where a post goes."""
    match to:
        case ToHandler(address=address, key=key):
            return orjson.dumps({"inside": address, "key": key})
        case ToDomain(domain=domain):
            return orjson.dumps({"outside": domain})
        case ToCaller(address=address):
            return orjson.dumps({"home": address})


def destination_of(content: bytes) -> Destination:
    """Read where a post goes; raises `Corrupt` where it is nowhere."""
    match orjson.loads(content):
        case {"inside": str(address), "key": None | str() as key}:
            return ToHandler(address, key)
        case {"outside": str(domain)}:
            return ToDomain(domain)
        case {"home": str(address)}:
            return ToCaller(address)
        case other:
            raise _corrupt("a destination", other)


def letter_bytes(dead_letter: DeadLetter) -> bytes:
    """Write a dead letter."""
    to = None if dead_letter.to is None else orjson.loads(destination_bytes(dead_letter.to))
    return orjson.dumps(
        {
            "id": dead_letter.id,
            "event": dead_letter.event.to_dict(),
            "reason": dead_letter.reason,
            "attempts": dead_letter.attempts,
            "at": dead_letter.at,
            "to": to,
            "violation": None
            if dead_letter.violation is None
            else _violation_said(dead_letter.violation),
        }
    )


def letter_of(content: bytes) -> DeadLetter:
    """Read a dead letter; raises `Corrupt` where it is none."""
    try:
        said = orjson.loads(content)
        to, violation = said["to"], said["violation"]
        return DeadLetter(
            id=said["id"],
            event=Event.from_dict(said["event"]),
            reason=said["reason"],
            attempts=said["attempts"],
            at=said["at"],
            to=None if to is None else destination_of(orjson.dumps(to)),
            violation=None if violation is None else _violation_of(violation),
        )
    except (Violated, ValueError, TypeError, KeyError) as error:
        raise _corrupt("a dead letter", error) from error


def digest_of(handler: str, event: Event[Any]) -> bytes:
    """Name a consumption: this handler, this event (by source and id), this subject."""
    # Lengths first, so that no two consumptions run together to one text.
    parts = (handler, event.source, event.id, event.subject)
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode(), digest_size=16).digest()


def milliseconds(time: datetime) -> int:
    """Give a time as whole milliseconds since 1970, rounded up: nothing is due too early."""
    # Not by `timestamp()`: a float of today is right to a fraction of a microsecond only, and what
    # is a whole millisecond would be rounded up to the next.
    return -((_EPOCH - time) // _MILLISECOND)


def time_of(since: int) -> datetime:
    """Read a time that `milliseconds` wrote."""
    return _EPOCH + since * _MILLISECOND


def _violation_said(violation: Violation) -> dict[str, Any]:
    issues = [[issue.path, issue.expected, issue.got] for issue in violation.issues]
    said = {"kind": violation.kind, "message": violation.message, "issues": issues}
    if isinstance(violation, TransactionViolation):
        said["cause"] = violation.cause
    return said


def _violation_of(said: Mapping[str, Any]) -> Violation:
    issues = tuple(Issue(*issue) for issue in said["issues"])
    match said["kind"]:
        case "Contract":
            return ContractViolation(said["message"], issues)
        case "Config":
            return ConfigViolation(said["message"], issues)
        case "Transaction":
            return TransactionViolation(said["message"], said["cause"], issues)
        case _:
            return ExecutionViolation(said["message"], issues)


def _corrupt(what: str, why: object) -> Corrupt:
    remedy = "restore the file from a backup, or ask for help with this message"
    return Corrupt(f"the store holds {what} that cannot be read ({why}): {remedy}")

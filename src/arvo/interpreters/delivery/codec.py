"""Codec: events, records, destinations and dead letters as the bytes that a database stores."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, final

import orjson
from attrs import frozen

from arvo.core.change import apply_changes, record_change
from arvo.core.events.event import Event, restore_event
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
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.messages import DeadLetter, Destination, Message

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@final
@frozen
class StoredMessage:
    """A message in a database: its row id, the message, and those fields of its `Delivery`."""

    id: int
    message: Message
    attempt: int
    deaths: int = 0
    progress: bytes = b""


def encode_event(event: Event[Any]) -> bytes:
    """Encode an event."""
    return event.to_bytes()


def decode_event(content: bytes) -> Event[Any]:
    """Decode an event; raises `Corrupt` if the bytes are not one."""
    try:
        return restore_event(content)
    except (Violated, ValueError) as error:
        raise _corrupt("an event", error) from error


def encode_record(record: Record) -> bytes:
    """Encode a record."""
    return orjson.dumps(record.to_dict())


def encode_change(before: Record, after: Record) -> bytes:
    """Encode what one turn changed in a record."""
    return orjson.dumps(record_change(before, after))


def decode_record(content: bytes, changes: Sequence[bytes] = ()) -> Record:
    """Decode a record and the encoded *changes* since, oldest first.

    Raises `Corrupt` if the bytes are not those.
    """
    try:
        body = orjson.loads(content)
        if changes:
            body = apply_changes(body, map(orjson.loads, changes))
        return Record.from_dict(body)
    except (Violated, ValueError, TypeError, KeyError) as error:
        raise _corrupt("a record", error) from error


def encode_destination(to: Destination) -> bytes:
    """Encode a destination."""
    match to:
        case ToHandler(address=address, key=key):
            return orjson.dumps({"handler": address, "key": key})
        case ToDomain(domain=domain):
            return orjson.dumps({"domain": domain})
        case ToCaller(address=address):
            return orjson.dumps({"caller": address})


def decode_destination(content: bytes) -> Destination:
    """Decode a destination; raises `Corrupt` if the bytes are not one."""
    match orjson.loads(content):
        case {"handler": str(address), "key": None | str() as key}:
            return ToHandler(address, key)
        case {"domain": str(domain)}:
            return ToDomain(domain)
        case {"caller": str(address)}:
            return ToCaller(address)
        case other:
            raise _corrupt("a destination", other)


def encode_dead_letter(dead_letter: DeadLetter) -> bytes:
    """Encode a dead letter."""
    to, violation = dead_letter.to, dead_letter.violation
    return orjson.dumps(
        {
            "id": dead_letter.id,
            "event": dead_letter.event.to_dict(),
            "reason": dead_letter.reason,
            "attempts": dead_letter.attempts,
            "at": dead_letter.at,
            "to": None if to is None else orjson.loads(encode_destination(to)),
            "violation": None if violation is None else _violation_to_dict(violation),
        }
    )


def decode_dead_letter(content: bytes) -> DeadLetter:
    """Decode a dead letter; raises `Corrupt` if the bytes are not one."""
    try:
        body = orjson.loads(content)
        to, violation = body["to"], body["violation"]
        return DeadLetter(
            id=body["id"],
            event=Event.from_dict(body["event"]),
            reason=body["reason"],
            attempts=body["attempts"],
            at=body["at"],
            to=None if to is None else decode_destination(orjson.dumps(to)),
            violation=None if violation is None else _parse_violation(violation),
        )
    except (Violated, ValueError, TypeError, KeyError) as error:
        raise _corrupt("a dead letter", error) from error


def consumption_digest(handler: str, event: Event[Any]) -> bytes:
    """Return 16 bytes that identify one consumption: handler, subject, and event source and id."""
    # Each part with its length: two consumptions must not concatenate to the same text.
    source, id_, subject = event.source, event.id, event.subject
    text = f"{len(handler)}:{handler}{len(source)}:{source}{len(id_)}:{id_}{len(subject)}:{subject}"
    return blake2b(text.encode(), digest_size=16).digest()


def to_milliseconds(time: datetime) -> int:
    """Convert a time to whole milliseconds since 1970, rounded up so that no timer is early."""
    # Not with `timestamp()`: a float of the present time is only exact to a fraction of a
    # microsecond, so a whole millisecond could be rounded up to the next one.
    return -((_EPOCH - time) // _MILLISECOND)


def from_milliseconds(since_epoch: int) -> datetime:
    """Convert milliseconds since 1970 to a time in UTC."""
    return _EPOCH + since_epoch * _MILLISECOND


def _violation_to_dict(violation: Violation) -> dict[str, Any]:
    issues = [[issue.path, issue.expected, issue.got] for issue in violation.issues]
    body = {"kind": violation.kind, "message": violation.message, "issues": issues}
    if isinstance(violation, TransactionViolation):
        body["cause"] = violation.cause
    return body


def _parse_violation(body: Mapping[str, Any]) -> Violation:
    issues = tuple(Issue(*issue) for issue in body["issues"])
    match body["kind"]:
        case "Contract":
            return ContractViolation(body["message"], issues)
        case "Config":
            return ConfigViolation(body["message"], issues)
        case "Transaction":
            return TransactionViolation(body["message"], body["cause"], issues)
        case _:
            return ExecutionViolation(body["message"], issues)


def _corrupt(content: str, reason: object) -> Corrupt:
    remedy = "restore the file from a backup, or ask for help with this message"
    return Corrupt(f"the store holds {content} that cannot be read ({reason}): {remedy}")

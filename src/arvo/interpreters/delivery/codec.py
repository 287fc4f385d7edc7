"""Codec: events, records, destinations and dead letters as the bytes that a database stores."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, final

import orjson
from attrs import evolve, frozen

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
from arvo.interpreters.codecs.codec import Codec, Place, Undecodable
from arvo.interpreters.codecs.content import decode_content, encode_content
from arvo.interpreters.codecs.envelope import (
    decode_data,
    encode_data,
    is_offloaded,
    without_data,
)
from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.codecs.reference import DATA_REF, reference_in
from arvo.interpreters.codecs.unreadable import (
    UNREADABLE,
    is_unreadable,
    original_content,
    stored_event,
)
from arvo.interpreters.codecs.waiting import decoding
from arvo.interpreters.delivery.clock import fresh_stamp
from arvo.interpreters.ports.errors import Corrupt
from arvo.interpreters.ports.messages import (
    DeadLetter,
    Destination,
    Message,
    PendingData,
    queue_of,
)

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


def encode_event(event: Event[Any], codec: Codec | None = None) -> bytes:
    """Encode an event; a codec encodes its data."""
    return event.to_bytes() if codec is None else encode_data(event.to_dict(), codec, "event")


def decode_event(content: bytes, codec: Codec | None = None) -> Event[Any]:
    """Decode an event; raises `Corrupt` if the bytes are not one."""
    try:
        return restore_event(decode_data(content, codec, "event"))
    except Undecodable as error:
        raise Corrupt(f"the store: {error}") from error
    except (Violated, ValueError) as error:
        raise _corrupt("an event", error) from error


def decode_waiting(content: bytes, to: Destination, codec: Codec | None = None) -> Message:
    """Decode an event that waits for a worker. Data that is a blob is left for that to fetch: it
    must not hold up the others.

    One that the codec cannot decode becomes a message with the reason, for a dead letter: it must
    not stop the worker, nor the next one.
    """
    try:
        if is_offloaded(content) and isinstance(codec, Offloaded):
            event = restore_event(without_data(content))
            return Message(event, to, pending=_pending(content, to, codec))
        return Message(restore_event(decode_data(content, codec, "event")), to)
    except Undecodable as error:
        return _unreadable(content, to, error)
    except (Violated, ValueError) as error:
        raise _corrupt("an event", error) from error


def _pending(content: bytes, to: Destination, codec: Offloaded) -> PendingData:
    async def fetch() -> Event[Any]:
        return await decoding(codec, lambda: restore_event(decode_data(content, codec, "event")))

    def stand_in() -> Event[Any]:
        stamp = fresh_stamp()
        return stored_event(stamp.id, queue_of(to), stamp.time, content)

    return PendingData(fetch, stand_in)


def stored_message(
    row: tuple[int, bytes, bytes, int, int, bytes], codec: Codec | None
) -> StoredMessage:
    """Decode a delivery: its id, destination, event, attempt, deaths and progress."""
    id_, to, event, attempt, deaths, progress = row
    message = decode_waiting(event, decode_destination(to), codec)
    try:
        progress = _decode_progress(progress, message, codec)
    except Undecodable as error:
        message, progress = _unreadable(event, message.to, error), b""
    return StoredMessage(id_, message, attempt, deaths, progress)


def original_messages(
    messages: Sequence[Message], dead_letter_id: str, codec: Codec | None
) -> Sequence[Message]:
    """Return what a dead letter is redriven as: the event that could not be decoded, if its event
    stands for one. Raises `Violated` if it still cannot be decoded.
    """
    return [
        evolve(message, event=_original_event(message.event, codec))
        if is_unreadable(message.event, dead_letter_id)
        else message
        for message in messages
    ]


def _original_event(event: Event[Any], codec: Codec | None) -> Event[Any]:
    try:
        return decode_event(original_content(event), codec)
    except Corrupt as error:
        issue = Issue("codec", "the codec and the key that encoded the event", str(error))
        raise Violated(ConfigViolation("the event cannot be decoded", issue)) from error


def encode_record(record: Record, codec: Codec | None = None) -> bytes:
    """Encode a record."""
    return encode_content(orjson.dumps(record.to_dict()), codec, Place("record", record.subject))


def encode_change(before: Record, after: Record, codec: Codec | None = None) -> bytes:
    """Encode the changes of one turn in a record."""
    content = orjson.dumps(record_change(before, after))
    return encode_content(content, codec, Place("change", after.subject))


def decode_record(
    content: bytes,
    changes: Sequence[bytes] = (),
    *,
    codec: Codec | None = None,
    subject: str = "",
) -> Record:
    """Decode the record of *subject* and the encoded *changes* since, oldest first.

    Raises `Corrupt` if the bytes are not those.
    """
    try:
        body = orjson.loads(decode_content(content, codec, Place("record", subject)))
        if changes:
            place = Place("change", subject)
            decoded = (decode_content(change, codec, place) for change in changes)
            body = apply_changes(body, map(orjson.loads, decoded))
        return Record.from_dict(body)
    except Undecodable as error:
        raise Corrupt(f"the store: {error}") from error
    except (Violated, ValueError, TypeError, KeyError) as error:
        raise _corrupt("a record", error) from error


def encode_progress(progress: bytes, event: Event[Any], codec: Codec | None) -> bytes:
    """Encode the checkpoint of a turn of *event*; none stays none."""
    return progress and encode_content(progress, codec, Place("progress", event.subject, event.id))


def _decode_progress(content: bytes, message: Message, codec: Codec | None) -> bytes:
    if not content or message.unreadable:
        return b""
    event = message.event
    return decode_content(content, codec, Place("progress", event.subject, event.id))


def _unreadable(content: bytes, to: Destination, error: Undecodable) -> Message:
    stamp = fresh_stamp()
    event = stored_event(stamp.id, queue_of(to), stamp.time, content)
    return Message(event, to, unreadable=str(error))


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


def encode_dead_letter(dead_letter: DeadLetter, codec: Codec | None = None) -> bytes:
    """Encode a dead letter; a codec encodes all of it but its id and its subject.

    One that stands for a text with a reference to a blob shows it: the blob stays as long.
    """
    body, event = _dead_letter_to_dict(dead_letter), dead_letter.event
    if codec is None:
        return orjson.dumps({**_blob_reference(event), **body})
    shell = {"id": dead_letter.id, "subject": event.subject, "data": body}
    if event.type == UNREADABLE:
        shell["type"] = UNREADABLE
    return encode_data({**_blob_reference(event), **shell}, codec, "dead_letter")


def _blob_reference(event: Event[Any]) -> dict[str, str]:
    if event.type != UNREADABLE or not isinstance(event.raw.get("body"), str):
        return {}
    try:
        reference = reference_in(original_content(event))
    except ValueError:
        return {}  # a sender has made it
    return {} if reference is None else {DATA_REF: str(reference)}


def _dead_letter_to_dict(dead_letter: DeadLetter) -> dict[str, Any]:
    to, violation = dead_letter.to, dead_letter.violation
    return {
        "id": dead_letter.id,
        "event": dead_letter.event.to_dict(),
        "reason": dead_letter.reason,
        "attempts": dead_letter.attempts,
        "at": dead_letter.at,
        "to": None if to is None else orjson.loads(encode_destination(to)),
        "violation": None if violation is None else _violation_to_dict(violation),
    }


def decode_dead_letter(content: bytes, codec: Codec | None = None) -> DeadLetter:
    """Decode a dead letter; raises `Corrupt` if the bytes are not one."""
    try:
        body = _dead_letter_body(content, codec)
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
    except Undecodable as error:
        raise Corrupt(f"the store: {error}") from error
    except (Violated, ValueError, TypeError, KeyError) as error:
        raise _corrupt("a dead letter", error) from error


def _dead_letter_body(content: bytes, codec: Codec | None) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(content)
    if "event" not in body:
        body = orjson.loads(decode_data(content, codec, "dead_letter"))["data"]
    elif codec is not None:
        # Written without a codec, which decides whether it reads that.
        place = Place("dead_letter", body["event"]["subject"], body["id"])
        body = orjson.loads(codec.decode(content, place))
    return body


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

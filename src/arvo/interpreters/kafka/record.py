"""Record: a message of Kafka as an encoded message, with the headers that the adapter reads."""

from datetime import datetime
from typing import Any, final

from attrs import frozen
from confluent_kafka import Message as Record

from arvo.interpreters.delivery.brokers.headers import (
    ORDER,
    decode_headers,
    take_attempt,
    take_until,
)
from arvo.interpreters.ports.broker import EncodedMessage


@final
@frozen
class DecodedRecord:
    """A message, the number of its delivery, the time *until* which it is delayed, and its *order*.

    *order*: the header of its key, empty for none; None where another program wrote the message.
    """

    message: EncodedMessage
    attempt: int
    until: datetime | None
    order: str | None


def decode_record(record: Record, queue: str) -> DecodedRecord:
    """Decode a record; other programs may have written any headers."""
    headers = decode_headers(raw_headers(record))
    headers.pop("content-type", None)
    attempt, until, order = take_attempt(headers), take_until(headers), headers.pop(ORDER, None)
    key: Any = record.key()
    message = EncodedMessage(
        queue=queue,
        body=_bytes(record.value()),
        headers=headers,
        key=None if key is None else _bytes(key).decode(errors="replace"),
    )
    return DecodedRecord(message, attempt, until, order)


def raw_headers(record: Record) -> dict[str, bytes]:
    """Return the headers of a record; of several with one name, the last."""
    headers: dict[str, Any] = dict(record.headers() or ())
    return {name: _bytes(value) for name, value in headers.items()}


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""

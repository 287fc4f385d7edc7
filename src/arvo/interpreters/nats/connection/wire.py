"""Wire: the form of a message on NATS, a plain CloudEvent that any program can read."""

import zlib
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.interpreters.delivery.brokers.headers import (
    ATTEMPT,
    ENCODING,
    UNTIL,
    take_attempt,
    take_until,
    until_text,
)
from arvo.interpreters.delivery.brokers.names import ALPHANUMERIC, escape_name
from arvo.interpreters.delivery.brokers.ordering import key_token
from arvo.interpreters.delivery.clock import utc_now
from arvo.interpreters.nats.connection.compression import DEFLATE, inflate
from arvo.interpreters.nats.connection.connection import Headers
from arvo.interpreters.ports.broker import EncodedMessage
from arvo.interpreters.ports.errors import TooLarge

# CloudEvents NATS protocol binding 1.0.2 §3.2: structured mode.
CONTENT_TYPE: Final = "application/cloudevents+json"
# Dots are the separators of NATS, so that one can subscribe to `arvo.com.payment.>`.
_PLAIN: Final = ALPHANUMERIC + "_.-~()"
# The part of a subject between an address and a key. No address has parentheses.
_KEYED: Final = "(key)"
# The last part of the subject of messages without a key; no key has this token.
_UNKEYED: Final = "_"
# The server stores a message with this header, and the value 0, only if no other one of its subject
# is stored. So it is the first of its key, for as long as it is stored.
EXPECTED_LAST: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECT_NONE: Final = "0"
# The bytes that the driver writes around all headers, and around each of them.
_FRAME_BYTES: Final = 16
_LINE_BYTES: Final = 4


def subject_name(prefix: str, queue: str) -> str:
    """Return the subject of a queue: its address after a prefix."""
    return f"{prefix}.{escape_name(queue, plain=_PLAIN, escape='%')}"


def keyed_subject(prefix: str, queue: str, key: str | None) -> str:
    """Return the subject of the messages of one key in a queue, or of those without a key."""
    token = _UNKEYED if key is None else key_token(key)
    return f"{subject_name(prefix, queue)}.{_KEYED}.{token}"


def all_keys_subject(prefix: str, queue: str) -> str:
    """Return the pattern of all keyed subjects of a queue."""
    return f"{subject_name(prefix, queue)}.{_KEYED}.*"


def has_key(subject: str) -> bool:
    """Return True for the subject of a key, False for that of messages without one."""
    return f".{_KEYED}." in subject and not subject.endswith(f".{_UNKEYED}")


def notice_subject(subject: str) -> str:
    """Return the subject of the notices that a message of a keyed *subject* was settled.

    No stream stores them. Of the pattern of all keys it returns the pattern of all notices.
    """
    prefix, _, rest = subject.partition(".")
    return f"{prefix}-settled.{rest}"


def encode_headers(message: EncodedMessage) -> Headers:
    """Return the headers of a message."""
    return {"content-type": CONTENT_TYPE, **message.headers}


def encode_body(message: EncodedMessage, headers: Headers, payload_max: int) -> bytes:
    """Return the body of a message, compressed if it would not fit otherwise.

    Compression adds a header to *headers*. Raises `TooLarge` if the body does not fit even so.
    """
    body = message.body
    if len(body) <= body_bytes_max(headers, payload_max):
        return body
    compressed = zlib.compress(body)
    if len(compressed) > body_bytes_max({**headers, ENCODING: DEFLATE}, payload_max):
        text = f"nats: a message of {len(body)} bytes for {message.queue} does not fit"
        raise TooLarge(f"{text}: raise the server's max_payload ({payload_max})")
    headers[ENCODING] = DEFLATE
    return compressed


def body_bytes_max(headers: Mapping[str, str], payload_max: int) -> int:
    """Return how many bytes a body may have besides its headers."""
    lines = sum(len(name) + len(value) + _LINE_BYTES for name, value in headers.items())
    return payload_max - _FRAME_BYTES - lines


def decode(queue: str, headers: Mapping[str, str] | None, body: bytes) -> EncodedMessage:
    """Decode a message.

    A body that cannot be decompressed stays as it is, with its header, for the codec to refuse.
    """
    rest = {
        name: value
        for name, value in (headers or {}).items()
        if not name.startswith("Nats-") and name.lower() != "content-type"
    }
    take_attempt(rest)
    take_until(rest)
    if rest.get(ENCODING) == DEFLATE:
        try:
            body = inflate(body, EVENT_BYTES_MAX)
        except ValueError:
            return EncodedMessage(queue, body, rest)
        del rest[ENCODING]
    return EncodedMessage(queue, body, rest)


def deferred_headers(message: EncodedMessage, attempt: int, until: datetime) -> dict[str, str]:
    """Return the headers of a message that is deferred, and is then delivered for the *attempt*-th
    time.
    """
    return {**message.headers, ATTEMPT: str(attempt), UNTIL: until_text(until)}


def seconds_left(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds a message is still deferred; None if it never was."""
    until = take_until(dict(headers))
    return None if until is None else max(0.0, (until - utc_now()).total_seconds())


def attempt_of(headers: Mapping[str, str], deliveries: int) -> int:
    """Return the attempt of a message that the server delivers for so many times.

    A deferred one was delivered once before its time, and returned until then.
    """
    if seconds_left(headers) is None:
        return deliveries
    return take_attempt(dict(headers)) + max(0, deliveries - 2)


def stored_headers(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a message as JetStream's API returns it."""
    lines = b64decode(message.get("hdrs", "")).decode(errors="replace").split("\r\n")
    return {name: text.strip() for name, colon, text in (x.partition(":") for x in lines) if colon}


def stored_body(message: Mapping[str, Any]) -> bytes:
    """Return the body of a message as JetStream's API returns it."""
    return b64decode(message.get("data", ""))

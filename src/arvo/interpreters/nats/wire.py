"""Wire: how a message looks on NATS, which is a plain CloudEvent that anybody can read or write."""

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote, unquote

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.interpreters.delivery.headers import DUE, KEY
from arvo.interpreters.nats.compression import DEFLATE, ENCODING, inflate
from arvo.interpreters.nats.connection import Headers
from arvo.interpreters.ports.backend import OUTBOUND_QUEUE, REPLY_QUEUE, TooLarge
from arvo.interpreters.ports.broker import EncodedMessage

# CloudEvents NATS protocol binding 1.0.2 §3.2: structured mode.
CONTENT_TYPE: Final = "application/cloudevents+json"
# No quoted key is this.
NO_KEY: Final = "*"
# What the driver writes around headers, and around each.
_FRAME_BYTES: Final = 16
_LINE_BYTES: Final = 4


def subject_of(prefix: str, address: str) -> str:
    """Name the subject that an address has: itself, behind a prefix."""
    # Dots stay: they are NATS' own separators, so that one can subscribe to `arvo.com.payment.>`.
    return f"{prefix}.{quote(address, safe='()')}"


def body_of(message: EncodedMessage, headers: Headers, payload_max: int) -> bytes:
    """Say the event as the reference writes it; deflated, with a header that says so, if it would
    not fit otherwise. Raises `TooLarge` where even that does not fit.
    """
    body = message.event.to_json().encode()
    if len(body) <= room_beside(headers, payload_max):
        return body
    packed = zlib.compress(body)
    if len(packed) > room_beside({**headers, ENCODING: DEFLATE}, payload_max):
        said = f"nats: event {message.event.id!r} of {len(body)} bytes does not fit"
        raise TooLarge(f"{said} into a message: raise the server's max_payload ({payload_max})")
    headers[ENCODING] = DEFLATE
    return packed


def room_beside(headers: Headers, payload_max: int) -> int:
    """Say how many bytes a body may have beside its headers."""
    lines = sum(len(name) + len(value) + _LINE_BYTES for name, value in headers.items())
    return payload_max - _FRAME_BYTES - lines


def headers_of(message: EncodedMessage) -> Headers:
    """Say what the event itself does not: where the key is not its own, and when it is due."""
    event = message.event
    headers = {"content-type": CONTENT_TYPE}
    for name, value in (("traceparent", event.traceparent), ("tracestate", event.tracestate)):
        if value is not None:
            headers[name] = quote(value, safe=" !#$&'()*+,/:;<=>?@[]^`{|}~\"\\")
    if message.key != _own_key(message.address, event):
        headers[KEY] = NO_KEY if message.key is None else quote(message.key, safe="")
    if message.due is not None:
        headers[DUE] = message.due.isoformat()
    return headers


def message_of(address: str, headers: Mapping[str, str] | None, body: bytes) -> EncodedMessage:
    """Read a message; one without headers has the key that follows from its event.

    Raises `Violated` or `ValueError` where it is no event.
    """
    headers = headers or {}
    if headers.get(ENCODING) == DEFLATE:
        body = inflate(body, EVENT_BYTES_MAX)
    event = Event.parse(body)
    key, due = headers.get(KEY), headers.get(DUE)
    if key is None:
        key = _own_key(address, event)
    elif key == NO_KEY:
        key = None
    else:
        key = unquote(key)
    return EncodedMessage(address, event, key, None if due is None else datetime.fromisoformat(due))


def _own_key(address: str, event: Event[object]) -> str | None:
    """Give the key of an event that comes without one: whoever sends it need not know of keys."""
    if address == OUTBOUND_QUEUE:
        return event.domain
    if address == REPLY_QUEUE:
        return event.to
    # A workflow takes one turn at a time; to a handler without memory it does no harm.
    return event.subject

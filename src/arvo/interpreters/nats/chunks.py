"""Value: a record as it lies in a bucket: as it is, packed, or in parts beside a head."""

import secrets
import zlib
from collections.abc import Mapping
from typing import Final, final

from attrs import frozen

from arvo.interpreters.nats.compression import DEFLATE, ENCODING, inflate
from arvo.interpreters.ports.backend import Corrupt

# Shorter ones are written as they are, to be read by `nats kv get`, and because packing costs more.
PLAIN_BYTES_MAX: Final = 32 * 1024
# A part, where the server takes so much at once: many small ones keep others from waiting.
PART_BYTES_MAX: Final = 512 * 1024
# What headers may need of a message.
HEADER_BYTES: Final = 1024
# What a value may unpack to: more is not ours.
VALUE_BYTES_MAX: Final = 256 * 1024 * 1024

PARTS: Final = "arvo-parts"


@final
@frozen
class Value:
    """What is written: *data* with *headers* at the key, and *parts* under a *token*."""

    data: bytes
    headers: Mapping[str, str]
    token: str = ""
    parts: tuple[bytes, ...] = ()


@final
@frozen
class Head:
    """What was read at the key: its *data*, or how many *parts* there are under which *token*."""

    data: bytes
    is_packed: bool
    token: str = ""
    parts: int = 0


def packed(record: bytes, payload_max: int) -> Value:
    """Say how a record is written to a server that takes *payload_max* bytes at once."""
    room = min(PART_BYTES_MAX, payload_max - HEADER_BYTES)
    if len(record) <= min(PLAIN_BYTES_MAX, room):
        return Value(record, {})
    data = zlib.compress(record, 1)
    headers = {ENCODING: DEFLATE}
    if len(data) <= room:
        return Value(data, headers)
    parts = tuple(data[start : start + room] for start in range(0, len(data), room))
    token = secrets.token_hex(8)
    return Value(b"", {**headers, PARTS: f"{len(parts)} {token}"}, token, parts)


def head_of(headers: Mapping[str, str], data: bytes) -> Head:
    """Read what stands at a key."""
    is_packed = headers.get(ENCODING) == DEFLATE
    number, _, token = headers.get(PARTS, "0").partition(" ")
    if not number.isdecimal():
        raise Corrupt(f"nats: a head with {PARTS} {number!r} is none of ours")
    return Head(data, is_packed, token, int(number))


def unpacked(head: Head, data: bytes) -> bytes:
    """Give the record that *data*, the parts put together, is."""
    if not head.is_packed:
        return data
    try:
        return inflate(data, VALUE_BYTES_MAX)
    except ValueError as error:
        raise Corrupt(f"nats: a value is none of ours, restore it: {error}") from error

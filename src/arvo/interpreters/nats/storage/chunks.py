"""Chunks: a record as the bucket stores it: plain, compressed, or in chunks next to a head."""

import secrets
import zlib
from collections.abc import Mapping
from typing import Final, final

from attrs import frozen

from arvo.interpreters.delivery.brokers.headers import ENCODING
from arvo.interpreters.nats.connection.compression import DEFLATE, inflate
from arvo.interpreters.ports.errors import Corrupt

# Smaller records are stored plain: `nats kv get` shows them, and compression would cost more.
PLAIN_BYTES_MAX: Final = 32 * 1024
# A chunk, if the server accepts so much in a message; small chunks let other requests pass between.
CHUNK_BYTES_MAX: Final = 512 * 1024
# Space for the headers of a message.
HEADER_BYTES: Final = 1024
# The bound on a decompressed record.
RECORD_BYTES_MAX: Final = 256 * 1024 * 1024

# The header of a head in chunks: their number and their token.
CHUNKS: Final = "arvo-parts"


@final
@frozen
class EncodedRecord:
    """A record to write: *data* with *headers* at the key, and *chunks* under a *token*."""

    data: bytes
    headers: Mapping[str, str]
    token: str = ""
    chunks: tuple[bytes, ...] = ()


@final
@frozen
class Head:
    """The message at a key: its *data*, or the number of *chunks* and their *token*."""

    data: bytes
    is_compressed: bool
    token: str = ""
    chunks: int = 0


def encode_record(record: bytes, payload_max: int) -> EncodedRecord:
    """Encode a record for a server that accepts *payload_max* bytes in a message."""
    bytes_max = min(CHUNK_BYTES_MAX, payload_max - HEADER_BYTES)
    if len(record) <= min(PLAIN_BYTES_MAX, bytes_max):
        return EncodedRecord(record, {})
    data = zlib.compress(record, 1)
    headers = {ENCODING: DEFLATE}
    if len(data) <= bytes_max:
        return EncodedRecord(data, headers)
    chunks = tuple(data[start : start + bytes_max] for start in range(0, len(data), bytes_max))
    token = secrets.token_hex(8)
    return EncodedRecord(b"", {**headers, CHUNKS: f"{len(chunks)} {token}"}, token, chunks)


def parse_head(headers: Mapping[str, str], data: bytes) -> Head:
    """Parse the message at a key; raises `Corrupt`."""
    is_compressed = headers.get(ENCODING) == DEFLATE
    number, _, token = headers.get(CHUNKS, "0").partition(" ")
    if not number.isdecimal():
        raise Corrupt(f"nats: no version of Arvo wrote the header {CHUNKS} {number!r}")
    return Head(data, is_compressed, token, int(number))


def decode_record(head: Head, data: bytes) -> bytes:
    """Return the record in *data*, the concatenated chunks; raises `Corrupt`."""
    if not head.is_compressed:
        return data
    try:
        return inflate(data, RECORD_BYTES_MAX)
    except ValueError as error:
        raise Corrupt(f"nats: a record is damaged, restore it from a backup: {error}") from error

"""Compressed: the codec that makes long contents smaller."""

import zlib
from typing import Final, final

from attrs import frozen

from arvo.interpreters.codecs.codec import Codec, Place, Undecodable

# JSON text begins with none of the bytes from 0x80.
_HEAD: Final = b"\xa2"
# The largest decompressed text: the record of the largest workflow that a database should hold.
# A damaged or forged text cannot take more memory.
CONTENT_BYTES_MAX: Final = 256 * 1024 * 1024
# Shorter contents hardly get smaller.
_CONTENT_BYTES_MIN: Final = 256


def compressed() -> Codec:
    """Make a codec that compresses contents with zlib, if that makes them smaller.

    It reads other contents as they are, so that it can be added at any time: first to the processes
    that read, because a process without it refuses compressed texts.
    """
    return _Compressed()


@final
@frozen
class _Compressed:
    def encode(self, content: bytes, place: Place) -> bytes:  # noqa: ARG002 - the port's
        smaller = _HEAD + zlib.compress(content) if len(content) >= _CONTENT_BYTES_MIN else b""
        # A text that looks like a compressed one has to be one.
        if content.startswith(_HEAD):
            return smaller or _HEAD + zlib.compress(content)
        return smaller if 0 < len(smaller) < len(content) else content

    def decode(self, content: bytes, place: Place) -> bytes:
        if not content.startswith(_HEAD):
            return content
        decompressor = zlib.decompressobj()
        try:
            decoded = decompressor.decompress(content[1:], CONTENT_BYTES_MAX)
        except zlib.error as error:
            raise _undecodable(place, f"it cannot be decompressed ({error})") from error
        if not decompressor.eof or decompressor.unused_data:
            raise _undecodable(place, f"it is cut off, or has more than {CONTENT_BYTES_MAX} bytes")
        return decoded


def _undecodable(place: Place, reason: str) -> Undecodable:
    remedy = "restore it from a backup"
    return Undecodable(f"the {place.kind} of {place.subject} is damaged: {reason}: {remedy}")

"""Deflate: compresses the short text of a subject."""

import zlib
from typing import Final

# A block of memory level 4 ends after 1023 literals and matches.
_SHORT_BYTES_MAX: Final = 1000


def compress(content: bytes) -> bytes:
    """Compress as `zlib.compress` does, to the same bytes: replays compare them.

    Most of its time is the initialisation of 256 KB of tables. With these sizes a short text meets
    no limit of smaller ones; the header says what the default sizes would.
    """
    if len(content) > _SHORT_BYTES_MAX:
        return zlib.compress(content)
    deflate = zlib.compressobj(6, zlib.DEFLATED, -11, 4)
    body = deflate.compress(content) + deflate.flush()
    return b"\x78\x9c" + body + zlib.adler32(content).to_bytes(4, "big")

"""Deflate: what is packed for the wire, unpacked within a bound."""

import zlib
from typing import Final

# The header that says that a body is packed, and how.
ENCODING: Final = "content-encoding"
DEFLATE: Final = "deflate"


def inflate(packed: bytes, bytes_max: int) -> bytes:
    """Unpack to *bytes_max* bytes at most; raises `ValueError` where there is more, or less.

    >>> inflate(zlib.compress(b"x" * 1_000), 2_000) == b"x" * 1_000
    True
    """
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed, bytes_max)
    except zlib.error as error:
        raise ValueError(f"what is packed cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise ValueError(f"what is packed is cut off, or holds more than {bytes_max} bytes")
    return found

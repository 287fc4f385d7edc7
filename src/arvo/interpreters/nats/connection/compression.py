"""Compression: the deflate encoding of message bodies and records, with a bound on the output."""

import zlib
from typing import Final

# The value of the content-encoding header for a compressed body.
DEFLATE: Final = "deflate"


def inflate(compressed: bytes, bytes_max: int) -> bytes:
    """Decompress to *bytes_max* bytes at most; raises `ValueError` for more, or for bad data.

    >>> inflate(zlib.compress(b"x" * 1_000), 2_000) == b"x" * 1_000
    True
    """
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(compressed, bytes_max)
    except zlib.error as error:
        raise ValueError(f"the data cannot be decompressed: {error}") from error
    if not decompressor.eof:
        raise ValueError(f"the compressed data is cut off, or holds more than {bytes_max} bytes")
    return content

"""Composed: several codecs in a row."""

from typing import final

from attrs import frozen

from arvo.interpreters.codecs.codec import Codec, Place


def composed(*codecs: Codec) -> Codec:
    """Make one codec of several: the first one encodes first, and decodes last.

    To encrypt what was compressed: `composed(compressed(), encrypted(keys))`. In the other order
    nothing gets smaller.
    """
    return _Composed(codecs)


@final
@frozen
class _Composed:
    codecs: tuple[Codec, ...]

    def encode(self, content: bytes, place: Place) -> bytes:
        for codec in self.codecs:
            content = codec.encode(content, place)
        return content

    def decode(self, content: bytes, place: Place) -> bytes:
        for codec in reversed(self.codecs):
            content = codec.decode(content, place)
        return content

"""Composed: several codecs in a row."""

from typing import final

from attrs import evolve, frozen

from arvo.core.violations.issue import Issue
from arvo.core.violations.violation import ConfigViolation, Violated
from arvo.interpreters.codecs.codec import Codec, Place
from arvo.interpreters.codecs.offloaded import Offloaded


def composed(*codecs: Codec) -> Codec:
    """Make one codec of several: the first one encodes first, and decodes last.

    To encrypt what was compressed: `composed(compressed(), encrypted(keys))`. In the other order
    nothing gets smaller. `offloaded` is the last one, and may be there once: raises `Violated`.
    """
    if any(isinstance(codec, Offloaded) for codec in codecs[:-1]):
        issue = Issue("codecs", "offloaded(...) as the last one", "codecs behind it")
        raise Violated(ConfigViolation("the blob store would hold what they do not encode", issue))
    match codecs:
        case (*others, Offloaded(inner=None) as last) if others:
            return evolve(last, inner=composed(*others))
        case (*others, Offloaded(inner=inner) as last) if others and inner is not None:
            return evolve(last, inner=composed(*others, inner))
        case _:
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

"""Codecs: encryption and compression of contents before a backend stores them.

Needs the extra `crypto`.
"""

from arvo.extras import needs_extra
from arvo.interpreters.codecs.codec import Codec, Place, Undecodable
from arvo.interpreters.codecs.composed import composed
from arvo.interpreters.codecs.compressed import compressed

with needs_extra("arvo.codecs"):
    from arvo.interpreters.codecs.encrypted import encrypted

__all__ = ["Codec", "Place", "Undecodable", "composed", "compressed", "encrypted"]

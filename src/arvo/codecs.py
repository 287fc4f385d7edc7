"""Codecs: encryption, compression and a blob store for contents, before a backend stores them.

`encrypted` needs the extra `crypto`, `offloaded` the extra `blobs`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arvo.interpreters.codecs.codec import Codec, Place, Undecodable
from arvo.interpreters.codecs.composed import composed
from arvo.interpreters.codecs.compressed import compressed
from arvo.interpreters.ports.errors import BlobMissing, BlobUnavailable

if TYPE_CHECKING:
    from arvo.interpreters.codecs.blobs import offloaded
    from arvo.interpreters.codecs.encrypted import encrypted

__all__ = [
    "BlobMissing",
    "BlobUnavailable",
    "Codec",
    "Place",
    "Undecodable",
    "composed",
    "compressed",
    "encrypted",
    "offloaded",
]

_MODULES = {"encrypted": "encrypted", "offloaded": "blobs"}


def __getattr__(name: str) -> Any:
    """Import a codec that needs an extra when it is used: its module names the extra."""
    if name in _MODULES:
        return getattr(import_module(f"arvo.interpreters.codecs.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

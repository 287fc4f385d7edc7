"""Content: whole texts, encoded by the codec of a backend if it has one."""

from arvo.interpreters.codecs.codec import Codec, Place, Undecodable


def encode_content(content: bytes, codec: Codec | None, place: Place) -> bytes:
    """Encode JSON text; without a codec it stays as it is."""
    return content if codec is None else codec.encode(content, place)


def decode_content(content: bytes, codec: Codec | None, place: Place) -> bytes:
    """Decode the text of `encode_content`; raises `Undecodable`, without a codec for all text
    that is no JSON.
    """
    if codec is not None:
        content = codec.decode(content, place)
    # JSON text is ASCII up to its first string.
    if content and not content[:1].isascii():
        raise no_codec(place)
    return content


def no_codec(place: Place) -> Undecodable:
    """Make the error for encoded text in a process without a codec."""
    remedy = "give the codec that wrote it, as codec= or by ARVO_CODEC"
    return Undecodable(f"the {place.kind} of {place.subject} is encoded: {remedy}")

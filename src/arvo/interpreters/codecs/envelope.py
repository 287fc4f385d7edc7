"""Envelope: JSON objects of which a codec encodes the data, and no other attribute.

A codec returns bytes. CloudEvents 1.0 JSON format §3.1.1 has them as base64, in `data_base64`. So a
database and a broker still show the subject, the id, the type and the addresses of an event, and
other programs can route it.
"""

from base64 import b64decode, b64encode
from typing import Any, Final

import orjson

from arvo.interpreters.codecs.codec import Codec, Kind, Place, Undecodable
from arvo.interpreters.codecs.content import no_codec

ENCODED: Final = "data_base64"


def encode_data(fields: dict[str, Any], codec: Codec, kind: Kind) -> bytes:
    """Return the JSON text of an object whose `data` is encoded."""
    content = {name: value for name, value in fields.items() if name != "data"}
    encoded = codec.encode(orjson.dumps(fields["data"]), _place(fields, kind))
    content[ENCODED] = b64encode(encoded).decode()
    return orjson.dumps(content)


def decode_data(content: bytes, codec: Codec | None, kind: Kind) -> bytes:
    """Return the JSON text of an object whose `data` is decoded.

    Raises `Undecodable`; without a codec also for an object with encoded data. Text that is no
    object is returned as it is.
    """
    if codec is None and ENCODED.encode() not in content:
        return content
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
    if not isinstance(fields, dict):
        return content
    if ENCODED not in fields:
        if codec is not None and "data" in fields:
            clear = orjson.dumps(fields["data"])
            fields["data"] = orjson.Fragment(codec.decode(clear, _place(fields, kind)))
            return orjson.dumps(fields)
        return content
    place = _place(fields, kind)
    if codec is None:
        raise no_codec(place)
    try:
        encoded = b64decode(fields.pop(ENCODED), validate=True)
    except (ValueError, TypeError) as error:
        text = f"{ENCODED} of the {kind} of {place.subject} is no base64: restore it from a backup"
        raise Undecodable(text) from error
    fields["data"] = orjson.Fragment(codec.decode(encoded, place))
    return orjson.dumps(fields)


def _place(fields: dict[str, Any], kind: Kind) -> Place:
    names = ("subject", "id", "type", "source", "to")
    values = (fields.get(name) for name in names)
    return Place(kind, *(value if isinstance(value, str) else "" for value in values))

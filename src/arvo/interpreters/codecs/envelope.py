"""Envelope: JSON objects of which a codec encodes the data, and no other attribute.

A codec returns bytes. CloudEvents 1.0 JSON format §3.1.1 has them as base64, in `data_base64`. So a
database and a broker still show the subject, the id, the type and the addresses of an event, and
other programs can route it. Data that is a blob is a reference in `data_ref`, which comes first.
"""

from base64 import b64decode, b64encode
from typing import Any, Final

import orjson

from arvo.interpreters.codecs.codec import Codec, Kind, Place, Undecodable
from arvo.interpreters.codecs.content import decode_content, no_codec
from arvo.interpreters.codecs.offloaded import Offloaded
from arvo.interpreters.codecs.reference import DATA_REF, DATA_REF_START, HEAD

ENCODED: Final = "data_base64"


def encode_data(fields: dict[str, Any], codec: Codec, kind: Kind) -> bytes:
    """Return the JSON text of an object whose `data` is encoded."""
    content = {name: value for name, value in fields.items() if name != "data"}
    clear = orjson.dumps(fields["data"])
    encoded = codec.encode(clear, _place(fields, kind))
    if encoded is clear:
        content["data"] = orjson.Fragment(clear)
    elif isinstance(codec, Offloaded) and encoded.startswith(HEAD):
        content = {DATA_REF: encoded[1:].decode(), **content}
    else:
        content[ENCODED] = b64encode(encoded).decode()
    return orjson.dumps(content)


def decode_data(content: bytes, codec: Codec | None, kind: Kind) -> bytes:
    """Return the JSON text of an object whose `data` is decoded.

    Raises `Undecodable`; without a codec also for an object with encoded data. Text that is no
    object is returned as it is.
    """
    if codec is None and ENCODED.encode() not in content and not is_offloaded(content):
        return content
    try:
        fields = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content
    if not isinstance(fields, dict):
        return content
    place = _place(fields, kind)
    if ENCODED in fields:
        encoded = _encoded(fields.pop(ENCODED), place)
    elif "data" in fields and codec is not None:
        encoded = orjson.dumps(fields["data"])
    elif "data" not in fields and DATA_REF in fields:
        encoded = HEAD + str(fields.pop(DATA_REF)).encode()
    else:
        return content
    if codec is None:
        raise no_codec(place)
    fields["data"] = orjson.Fragment(decode_content(encoded, codec, place))
    return orjson.dumps(fields)


def _encoded(text: object, place: Place) -> bytes:
    try:
        return b64decode(text, validate=True)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        text = f"{ENCODED} of the {place.kind} of {place.subject} is no base64"
        raise Undecodable(f"{text}: restore it from a backup") from error


def is_offloaded(content: bytes) -> bool:
    """Return whether the text of an object has a reference in place of its data."""
    return content.startswith(DATA_REF_START)


def without_data(content: bytes) -> bytes:
    """Return the text of an object whose data is a blob, with no data in its place."""
    fields = orjson.loads(content)
    del fields[DATA_REF]
    return orjson.dumps({**fields, "data": {}})


def _place(fields: dict[str, Any], kind: Kind) -> Place:
    names = ("subject", "id", "type", "source", "to")
    values = (fields.get(name) for name in names)
    return Place(kind, *(value if isinstance(value, str) else "" for value in values))

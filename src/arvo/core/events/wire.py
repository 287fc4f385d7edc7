"""Wire: the data of an event in its JSON form."""

from collections.abc import Mapping
from typing import final

from attrs import field, frozen

from arvo.core.payloads.fields import PayloadError
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import freeze_object, freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issues, short_repr


@final
@frozen
class Wire:
    """An event's data as JSON, and the object it was made from.

    The identity of the object shows whether the JSON is stale: a copy of an event with other data
    still holds the JSON of the original.
    """

    of: object = field(eq=False)
    json: FrozenDict


def wire_of(data: object) -> Wire | Issues:
    """Convert an event's data to JSON: a mapping as it is, an instance by its class's schema."""
    if isinstance(data, Mapping):
        json = freeze_object(data)
        return json if isinstance(json, Issues) else Wire(json, json)
    if not hasattr(type(data), "__attrs_attrs__"):
        return Issues.one("data", "an object or an instance of an attrs class", short_repr(data))
    try:
        encoded = Payload.of(type(data)).write(data)
    except PayloadError as error:
        return Issues.one("data", "an instance of a payload class", str(error))
    return encoded if isinstance(encoded, Issues) else Wire(data, freeze_unchecked(encoded))

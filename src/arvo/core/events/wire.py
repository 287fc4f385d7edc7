"""Wire: the data of an event in its JSON form."""

from collections.abc import Mapping

from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.json_data import freeze_object, freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.payloads.types.adapters import is_payload_class
from arvo.core.payloads.types.classes import PayloadError
from arvo.core.violations.issue import Issues, short_repr


def write_data(data: object) -> FrozenDict | Issues:
    """Convert an event's data to JSON: a mapping as it is, an instance by its class's schema."""
    if isinstance(data, Mapping):
        return freeze_object(data)
    if not is_payload_class(type(data)):
        return Issues.one("data", "an object or an instance of a payload class", short_repr(data))
    try:
        json = Payload.of(type(data)).write(data)
    except PayloadError as error:
        return Issues.one("data", "an instance of a payload class", str(error))
    if isinstance(json, Issues):
        return json
    frozen: FrozenDict = freeze_unchecked(json)
    return frozen

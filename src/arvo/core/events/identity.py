"""Identity: event ids derived from the cause of an event, and ids that users choose.

Derived ids are deterministic, so that repeating a step makes the same events (promise I3).
"""

import base64
import binascii
import zlib
from hashlib import blake2b
from typing import Final, TypeAlias, final

import orjson
from attrs import Attribute, field, frozen

from arvo.core.payloads.json_data import is_encodable
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ContractViolation, Violated

# Ids are compared and stored everywhere; any reasonable key is shorter than this.
EVENT_ID_CHARACTERS_MAX: Final = 1024


def derived_id(handler: str, source: str, event: str, subject: str, *position: int | str) -> str:
    """Derive an id from the handler, the consumed event and the position among its results.

    Source and id together identify an event (CloudEvents 1.0, `source`). The subject distinguishes
    two workflows that a careless sender started with one id.

    >>> derived_id("com.pay", "com.web", "e1", "s", 0)
    '389119fb-6b25-59d7-478c-9d5c85172331'
    """
    # Not uuid4: a redelivered event must produce the same ids, or receivers get it twice.
    cause = "\0".join((handler, source, event, subject, *map(str, position)))
    digest = blake2b(cause.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _check_value(_: object, __: "Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not is_encodable(value):
        issue = Issue("id.value", "a string", short_repr(value))
        raise Violated(ContractViolation("invalid value for an event id", issue))


@final
@frozen
class Managed:
    """A value to carry in an event's id, next to the part that makes the id unique.

    >>> Managed("order-1").to_id("u-1").value
    'order-1'
    """

    value: str = field(validator=_check_value)

    def to_id(self, unique: str) -> "ManagedId":
        """Combine the value with *unique*, which differs for each id with this value."""
        return ManagedId(unique, self.value)


@final
@frozen
class ManagedId:
    """An event id that carries a value: base64 of zlib of JSON `{uuid, value}`.

    >>> ManagedId.parse(str(ManagedId("u-1", "order-1")))
    ManagedId(uuid='u-1', value='order-1')
    >>> ManagedId.parse("any other id") is None
    True
    """

    uuid: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "ManagedId | None":
        """Parse an id; returns None for an id that carries no value."""
        if len(text) > EVENT_ID_CHARACTERS_MAX:
            return None
        try:
            inflater = zlib.decompressobj()
            inflated = inflater.decompress(base64.b64decode(text, validate=True), 8192)
            content = orjson.loads(inflated)
        except (binascii.Error, ValueError, zlib.error):
            return None
        match content:
            case {"uuid": str(uuid), "value": str(value)}:
                return cls(uuid, value)
            case _:
                return None

    def __str__(self) -> str:
        content = orjson.dumps({"uuid": self.uuid, "value": self.value})
        return base64.b64encode(zlib.compress(content)).decode()


# A string is the user's own id, which stays as it is.
GivenId: TypeAlias = str | Managed | None


def event_id(given: GivenId, unique: str) -> str:
    """Return the user's id without surrounding spaces, or *unique* where it is blank."""
    match given:
        case Managed(value=value) if value.strip():
            return str(Managed(value).to_id(unique))
        case str() if given.strip():
            return given.strip()
        case None | str() | Managed():
            return unique

"""Identity: ids that follow from what caused an event, and ids that users give.

Deterministic, so that the same step twice makes the same events (promise I3, B21).
"""

import base64
import binascii
import zlib
from hashlib import blake2b
from typing import Final, TypeAlias, final

import orjson
from attrs import Attribute, field, frozen

from arvo.core.payloads.json_data import encodes
from arvo.core.violations.issue import Issue, short
from arvo.core.violations.violation import ContractViolation, Violated

# An id is compared and stored everywhere; this is room for any sane key.
EVENT_ID_CHARACTERS_MAX: Final = 1024


def derived_id(handler: str, source: str, event: str, subject: str, *position: int | str) -> str:
    """Derive an id from the handler, the consumed event and the position among its results.

    An event is known by source and id together (CloudEvents 1.0 §id); the subject keeps apart two
    workflows to which a careless sender gave one id.

    >>> derived_id("com.pay", "com.web", "e1", "s", 0)
    '389119fb-6b25-59d7-478c-9d5c85172331'
    """
    # Not uuid4: a redelivered event must produce the same ids, or we send twice.
    cause = "\0".join((handler, source, event, subject, *map(str, position)))
    digest = blake2b(cause.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _check_value(_: object, __: "Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not encodes(value):
        issue = Issue("id.value", "a text", short(value))
        raise Violated(ContractViolation("an id cannot carry this", issue))


@final
@frozen
class Managed:
    """A value to carry in an event's id, beside what makes the id unique (reference F030).

    >>> Managed("order-1").told("u-1").value
    'order-1'
    """

    value: str = field(validator=_check_value)

    def told(self, unique: str) -> "ManagedId":
        """Join the value with what makes it unique."""
        return ManagedId(unique, self.value)


@final
@frozen
class ManagedId:
    """An id that holds a value: base64 of zlib of JSON `{uuid, value}` (reference F030, F031).

    >>> ManagedId.parse(str(ManagedId("u-1", "order-1")))
    ManagedId(uuid='u-1', value='order-1')
    >>> ManagedId.parse("any other id") is None
    True
    """

    uuid: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "ManagedId | None":
        """Read an id; None where it holds no value."""
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


# A text is the user's own id, kept as it is (reference: DEVELOPER_MANAGED).
GivenId: TypeAlias = str | Managed | None


def event_id(given: GivenId, unique: str) -> str:
    """Choose an event's id: the user's, trimmed, or *unique* where it is blank (F030)."""
    match given:
        case Managed(value=value) if value.strip():
            return str(Managed(value).told(unique))
        case str() if given.strip():
            return given.strip()
        case None | str() | Managed():
            return unique

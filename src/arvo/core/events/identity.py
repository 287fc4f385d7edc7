"""Identity: ids derived from the cause of an event, and ids of events and runs that users choose.

Derived ids are deterministic, so that repeating a step makes the same events (promise I3).
"""

import base64
import binascii
import zlib
from hashlib import blake2b
from operator import itemgetter
from typing import Final, Literal, TypeAlias, final, get_args

import orjson
from attrs import Attribute, field, frozen

from arvo.core.payloads.json_data import is_encodable
from arvo.core.violations.issue import Issue, short_repr
from arvo.core.violations.violation import ContractViolation, ExecutionViolation, Violated

# What a begin may do where a run with its workflow id has ended, as in Temporal. "reject": begin no
# other run. "allow": begin the next one. "allow_if_failed": only after a failure or a cancellation.
IdReusePolicy: TypeAlias = Literal["reject", "allow", "allow_if_failed"]
ID_REUSE_POLICIES: Final[tuple[str, ...]] = get_args(IdReusePolicy)
# The policy of every begin of a keyed contract: where a run with its workflow id is active, or has
# failed, the event is a signal to it; where it has ended, the event begins the next run.
SIGNAL: Final = "signal"
# The address that gets what the run of a key, and the handlers it asks, would answer to a sender.
KEYED_PREFIX: Final = "arvo.keyed."
# The extension attribute that holds it, in each begin whose workflow id was chosen.
ID_REUSE_POLICY: Final = "idreusepolicy"
# Workflow ids are indexed and shown in lists; Temporal allows about four times as much.
WORKFLOW_ID_CHARACTERS_MAX: Final = 255
# Ids are compared and stored everywhere; any reasonable key is shorter than this.
EVENT_ID_CHARACTERS_MAX: Final = 1024


def derived_id(handler: str, source: str, event: str, subject: str, *position: int | str) -> str:
    """Derive an id from the handler, the consumed event and the position among its results.

    Source and id together identify an event (CloudEvents 1.0, `source`). The subject distinguishes
    two workflows that a careless sender started with one id.

    >>> derived_id("com.pay", "com.web", "e1", "s", 0)
    '389119fb-6b25-59d7-478c-9d5c85172331'
    """
    return digest_id("\0".join((handler, source, event, subject, *map(str, position))))


def digest_id(cause: str) -> str:
    """Return the id of the event with this cause: the arguments of `derived_id`, joined by NUL."""
    # Not uuid4: a redelivered event must produce the same ids, or receivers get it twice.
    return "-".join(_GROUPS(blake2b(cause.encode(), digest_size=16).hexdigest()))


# The digits of a UUID. Slices that are made once take a third of the time.
_GROUPS: Final = itemgetter(slice(8), slice(8, 12), slice(12, 16), slice(16, 20), slice(20, None))


def begin_id(source: str, type: str, workflow_id: str) -> str:  # noqa: A002 - the wire's name
    """Derive the id of the event that begins a run with a chosen id, so that two such are equal.

    >>> begin_id("com.shop.web", "arvo.orc.order", "order-1")
    '93f96d42-d4eb-dde9-d8a1-3b160bca13b5'
    """
    return digest_id("\0".join(("begin", source, type, workflow_id)))


def check_begin(workflow_id: object, policy: object) -> None:
    """Raise `Violated` for a workflow id, or a policy for its reuse, that is none."""
    issues: list[Issue] = []
    if not is_workflow_id(workflow_id):
        expected = f"1 to {WORKFLOW_ID_CHARACTERS_MAX} printable characters without ';'"
        issues.append(Issue("workflow_id", expected, short_repr(workflow_id)))
    if policy not in ID_REUSE_POLICIES:
        expected = f"one of {', '.join(ID_REUSE_POLICIES)}"
        issues.append(Issue("id_reuse_policy", expected, short_repr(policy)))
    if issues:
        raise Violated(ExecutionViolation("invalid workflow id", tuple(issues)))


def is_workflow_id(value: object) -> bool:
    """Return whether a run may have this id; printable, so that each store can index it."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= WORKFLOW_ID_CHARACTERS_MAX
        and ";" not in value
        and value.isprintable()
    )


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

"""Event: what travels, a CloudEvents 1.0 envelope with Arvo's and OpenTelemetry's extensions."""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar, final

import attrs
import orjson
from attrs import field, frozen

from arvo.core.events.envelope import ARVO_CONTENT_TYPE, Wire, envelope_issues, wire_of
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import ContractViolation, Violated

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

# What a broker of the field carries by default (NATS and Kafka: 1 MiB).
EVENT_BYTES_MAX: Final = 1024 * 1024
OTEL_NULL: Final = "N/A"


def _as_extensions(given: Mapping[str, Any] | None) -> FrozenDict:
    return EMPTY if not given else given if isinstance(given, FrozenDict) else FrozenDict(given)


@final
@frozen(kw_only=True)
class Event(Generic[T_co]):
    """One thing that happened or is wanted, on its way to an address.

    Attribute names are the wire's (CloudEvents 1.0 §3, reference F001-F020). `data` is the payload:
    an instance of its class where a contract has read it, a frozen mapping where it has not. `to`
    is the address it goes to, `redirectto` where the answer should go, `parentid` the id of the
    event that caused it, `domain` the outside world it is for (None: it stays inside),
    `executionunits` a cost, `extensions` further attributes by name: text, number, boolean or null.

    Building one by hand checks every field and raises `Violated`, which names each that is wrong.
    Contracts build events with fewer words: see `VersionedContract.accepts`.

    Two events are equal when they are the same on the wire.
    """

    id: str
    source: str
    specversion: str = "1.0"
    type: str
    subject: str
    datacontenttype: str = ARVO_CONTENT_TYPE
    dataschema: str | None = None
    data: T_co = field(eq=False)
    time: str
    to: str | None = None
    accesscontrol: str | None = None
    redirectto: str | None = None
    executionunits: float | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    parentid: str | None = None
    domain: str | None = None
    extensions: FrozenDict = field(default=EMPTY, converter=_as_extensions)
    # The data as it stands on the wire, with the object it was made from; see `Wire`.
    wire: Wire | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        issues = list(envelope_issues(self))
        if self.wire is None or self.wire.of is not self.data:
            match wire_of(self.data):
                case Wire() as wire:
                    object.__setattr__(self, "wire", wire)
                    # Data given as a mapping is handed out frozen (B30).
                    object.__setattr__(self, "data", wire.of)
                case Issues() as refused:
                    issues += refused.items
        if issues:
            name = f"{self.id!r} of type {self.type!r}"[:160]
            raise Violated(ContractViolation(f"event {name} cannot be", tuple(issues)))

    @property
    def raw(self) -> FrozenDict:
        """The data as JSON, frozen: what goes over the wire."""
        assert self.wire is not None
        return self.wire.json

    def carrying(self, data: U, raw: FrozenDict) -> "Event[U]":
        """Put in the payload that a contract read from this event's raw data."""
        # All but the data has been checked, and copying slots is four times cheaper than checking.
        event: Event[U] = object.__new__(Event)
        for slot in _COPIED:
            slot.__set__(event, slot.__get__(self))
        _DATA.__set__(event, data)
        _WIRE.__set__(event, Wire(data, raw))
        return event

    def to_dict(self) -> dict[str, Any]:
        """Say the event as one flat JSON object, keys in the reference's order (F022)."""
        said: dict[str, Any] = {
            "id": self.id,
            "source": self.source,
            "specversion": self.specversion,
            "type": self.type,
            "subject": self.subject,
            "datacontenttype": self.datacontenttype,
            "dataschema": self.dataschema,
            "data": self.raw,
            "time": self.time,
        }
        said.update(self.extensions)
        for name in _AFTER_EXTENSIONS:
            said[name] = getattr(self, name)
        return said

    def to_json(self) -> str:
        """Say the event as JSON text: the wire format of both languages."""
        return orjson.dumps(self.to_dict()).decode()

    @staticmethod
    def parse(text: str | bytes, *, bytes_max: int = EVENT_BYTES_MAX) -> "Event[Any]":
        """Read an event off the wire; raises `Violated` that names each field that is wrong.

        More than *bytes_max* bytes are refused before they are parsed.

        >>> try:
        ...     Event.parse("[]")
        ... except Violated as violated:
        ...     print(violated.violation)
        this event cannot be read: event: expected an object, got list
        """
        size = _bytes_in(text, bytes_max)
        if size > bytes_max:
            issue = Issue("event", f"at most {bytes_max} bytes", f"{size}")
            raise Violated(ContractViolation("this event cannot be read", issue))
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            issue = Issue("event", "JSON", f"{error.msg} at character {error.pos}")
            raise Violated(ContractViolation("this event cannot be read", issue)) from None
        return Event.from_dict(content)

    @staticmethod
    def from_dict(content: object) -> "Event[Any]":
        """Read an event from its flat JSON object; attributes of other names are extensions."""
        if not isinstance(content, Mapping):
            issue = Issue("event", "an object", type(content).__name__)
            raise Violated(ContractViolation("this event cannot be read", issue))
        fields = {name: content[name] for name in _NAMES if name in content}
        issues = [
            Issue(name, "a value (required)", "nothing") for name in _REQUIRED if name not in fields
        ]
        if issues:
            raise Violated(ContractViolation("this event cannot be read", tuple(issues)))
        others = {name: value for name, value in content.items() if name not in fields}
        return Event(**fields, extensions=others)

    @property
    def cloudevent(self) -> dict[str, dict[str, Any]]:
        """The CloudEvents attributes (`default`) apart from all extensions (reference F021)."""
        said = self.to_dict()
        default = {name: said.pop(name) for name in _CORE}
        return {"default": default, "extensions": said}

    @property
    def otel_attributes(self) -> dict[str, str | float]:
        """Attributes for a span, `N/A` for what is missing; no data, no access control (F023)."""
        named = {
            **{f"cloudevents.event_{key}": getattr(self, name) for key, name in _OTEL_CORE},
            **{f"cloudevents.arvo.event_{name}": getattr(self, name) for name in _OTEL_ARVO},
        }
        return {key: OTEL_NULL if value is None else value for key, value in named.items()}


_FIELDS: Final = tuple(attribute.name for attribute in attrs.fields(Event))
_DATA: Final = Event.__dict__["data"]
_WIRE: Final = Event.__dict__["wire"]
_COPIED: Final = tuple(Event.__dict__[name] for name in _FIELDS if name not in ("data", "wire"))
_NAMES: Final = tuple(name for name in _FIELDS if name not in ("extensions", "wire"))
_REQUIRED: Final = ("id", "source", "specversion", "type", "subject", "data", "time")
_CORE: Final = (
    "id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema", "data",
    "time",
)  # fmt: skip
_AFTER_EXTENSIONS: Final = (
    "to", "accesscontrol", "redirectto", "executionunits", "traceparent", "tracestate", "parentid",
    "domain",
)  # fmt: skip
_OTEL_CORE: Final = (
    ("id", "id"),
    ("source", "source"),
    ("spec_version", "specversion"),
    ("subject", "subject"),
    ("type", "type"),
    ("time", "time"),
    ("datacontenttype", "datacontenttype"),
    ("dataschema", "dataschema"),
)
_OTEL_ARVO: Final = ("redirectto", "to", "executionunits", "parentid", "domain")


def _bytes_in(text: str | bytes, bytes_max: int) -> int:
    # A text has at least as many bytes as characters, so a huge one is not encoded to be measured.
    if isinstance(text, bytes) or len(text) > bytes_max or text.isascii():
        return len(text)
    return len(text.encode(errors="surrogatepass"))

"""Event: a CloudEvents 1.0 envelope with Arvo's and OpenTelemetry's extensions."""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar, final

import attrs
import orjson
from attrs import field, frozen

from arvo.core.events.envelope import ARVO_CONTENT_TYPE, envelope_issues
from arvo.core.events.json_text import parse_json
from arvo.core.events.wire import Wire, wire_of
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import ContractViolation, Violated

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")

# The default limit of common brokers (NATS and Kafka: 1 MiB).
EVENT_BYTES_MAX: Final = 1024 * 1024
OTEL_NULL: Final = "N/A"


def _freeze_extensions(value: Mapping[str, Any] | None) -> FrozenDict:
    return EMPTY if not value else value if isinstance(value, FrozenDict) else FrozenDict(value)


@final
@frozen(kw_only=True)
class Event(Generic[T_co]):
    """A fact or a request, addressed to a handler.

    Attribute names are those of the wire (CloudEvents 1.0 §3 and the extensions of the Arvo
    TypeScript packages). `data` is the payload: an instance of its class once a contract has read
    it, a frozen mapping before that. `to` is the address of the handler, `redirectto` the address
    for the reply, `parentid` the id of the event that caused this one, `domain` the name of the
    external domain it is for (None: it stays inside the system), `executionunits` a cost,
    `extensions` further attributes by name: strings, numbers, booleans or null.

    The constructor checks every attribute and raises `Violated`, which names each invalid one.
    Contracts build events with fewer arguments: see `VersionedContract.accepts`.

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
    extensions: FrozenDict = field(default=EMPTY, converter=_freeze_extensions)
    # The data in its JSON form, with the object it was made from; see `Wire`.
    wire: Wire | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        issues = list(envelope_issues(self))
        if self.wire is None or self.wire.of is not self.data:
            match wire_of(self.data):
                case Wire() as wire:
                    object.__setattr__(self, "wire", wire)
                    # A mapping is replaced by its frozen copy, so that no receiver can change it.
                    object.__setattr__(self, "data", wire.of)
                case Issues() as data_issues:
                    issues += data_issues.items
        if issues:
            name = f"{self.id!r} of type {self.type!r}"[:160]
            raise Violated(ContractViolation(f"invalid event {name}", tuple(issues)))

    @property
    def raw(self) -> FrozenDict:
        """The data as frozen JSON, in the form that goes over the wire."""
        assert self.wire is not None
        return self.wire.json

    def with_payload(self, data: U, raw: FrozenDict) -> "Event[U]":
        """Return this event with *data*, the payload that a contract read from *raw*."""
        # The other attributes are checked already; copying slots is four times cheaper than checks.
        event: Event[U] = object.__new__(Event)
        for slot in _COPIED:
            slot.__set__(event, slot.__get__(self))
        _DATA.__set__(event, data)
        _WIRE.__set__(event, Wire(data, raw))
        return event

    def to_dict(self) -> dict[str, Any]:
        """Return the event as one flat JSON object, in the key order of the TypeScript packages."""
        flat: dict[str, Any] = {
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
        flat.update(self.extensions)
        for name in _AFTER_EXTENSIONS:
            flat[name] = getattr(self, name)
        return flat

    def to_json(self) -> str:
        """Return the event as JSON text, the wire format of both languages."""
        return orjson.dumps(self.to_dict()).decode()

    @staticmethod
    def parse(text: str | bytes, *, bytes_max: int = EVENT_BYTES_MAX) -> "Event[Any]":
        """Parse JSON text of at most *bytes_max* bytes; longer text is refused unparsed.

        Raises `Violated`, which names each invalid attribute.

        >>> try:
        ...     Event.parse("[]")
        ... except Violated as violated:
        ...     print(violated.violation)
        unreadable event: event: expected an object, got list
        """
        size = _size_in_bytes(text, bytes_max)
        if size > bytes_max:
            issue = Issue("event", f"at most {bytes_max} bytes", f"{size}")
            raise Violated(ContractViolation("unreadable event", issue))
        content = parse_json(text, "event")
        if isinstance(content, Issues):
            raise Violated(ContractViolation("unreadable event", content))
        return Event.from_dict(content)

    @staticmethod
    def from_dict(content: object) -> "Event[Any]":
        """Read an event from its flat JSON object; unknown attributes become extensions."""
        if not isinstance(content, Mapping):
            issue = Issue("event", "an object", type(content).__name__)
            raise Violated(ContractViolation("unreadable event", issue))
        fields = {name: content[name] for name in _NAMES if name in content}
        issues = [
            Issue(name, "a value (required)", "nothing") for name in _REQUIRED if name not in fields
        ]
        if issues:
            raise Violated(ContractViolation("unreadable event", tuple(issues)))
        others = {name: value for name, value in content.items() if name not in fields}
        return Event(**fields, extensions=others)

    @property
    def cloudevent(self) -> dict[str, dict[str, Any]]:
        """The CloudEvents attributes (`default`), separate from all `extensions`."""
        extensions = self.to_dict()
        default = {name: extensions.pop(name) for name in _CORE}
        return {"default": default, "extensions": extensions}

    @property
    def otel_attributes(self) -> dict[str, str | float]:
        """Span attributes, `N/A` for missing ones; without the data and `accesscontrol`."""
        attributes = {
            **{f"cloudevents.event_{key}": getattr(self, name) for key, name in _OTEL_CORE},
            **{f"cloudevents.arvo.event_{name}": getattr(self, name) for name in _OTEL_ARVO},
        }
        return {key: OTEL_NULL if value is None else value for key, value in attributes.items()}


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


def _size_in_bytes(text: str | bytes, bytes_max: int) -> int:
    # Text has at least as many bytes as characters, so huge text need not be encoded for its size.
    if isinstance(text, bytes) or len(text) > bytes_max or text.isascii():
        return len(text)
    return len(text.encode(errors="surrogatepass"))

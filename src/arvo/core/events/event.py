"""Event: a CloudEvents 1.0 envelope with Arvo's and OpenTelemetry's extensions."""

from collections.abc import Callable, Mapping
from operator import attrgetter, itemgetter
from typing import Any, Final, Generic, TypeVar, final

import orjson
from attrs import field, frozen

from arvo.construct import constructor, evolver
from arvo.core.events.envelope import (
    ARVO_CONTENT_TYPE,
    ENVELOPE,
    envelope_issues,
    extension_issues,
    is_sound_envelope,
    is_sound_route,
)
from arvo.core.events.json_text import parse_json
from arvo.core.events.uri import encode_uri
from arvo.core.events.wire import write_data
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import (
    UncertainError,
    freeze_object,
    freeze_parsed,
    may_be_large_integer,
)
from arvo.core.violations.arguments import check_argument
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
@frozen(kw_only=True, weakref_slot=False)
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
    # The data in its JSON form, and the object it was made from: a copy with other data still has
    # the JSON of the original.
    wire: FrozenDict | None = field(default=None, repr=False)
    _wire_of: object = field(default=None, eq=False, repr=False)
    # The event as JSON text, once it was asked for.
    _json: bytes | None = field(default=None, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        issues = list(envelope_issues(_envelope(self), self.extensions))
        if self.wire is None or self._wire_of is not self.data:
            written = write_data(self.data)
            if isinstance(written, Issues):
                issues += written.items
            else:
                object.__setattr__(self, "wire", written)
                if isinstance(self.data, Mapping):
                    # Its frozen copy, so that no receiver can change it.
                    object.__setattr__(self, "data", written)
                object.__setattr__(self, "_wire_of", self.data)
        if issues:
            name = f"{self.id!r} of type {self.type!r}"[:160]
            raise Violated(ContractViolation(f"invalid event {name}", tuple(issues)))

    @property
    def raw(self) -> FrozenDict:
        """The data as frozen JSON, in the form that goes over the wire."""
        assert self.wire is not None
        return self.wire

    def with_payload(self, data: U, raw: FrozenDict) -> "Event[U]":
        """Return this event with *data*, the payload that a contract read from *raw*."""
        text = self._json if raw is self.wire else None
        event: Event[U] = _with_payload(self, data, raw, data, text)
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
            "data": self.wire,
            "time": self.time,
            "to": self.to,
            "accesscontrol": self.accesscontrol,
            "redirectto": self.redirectto,
            "executionunits": self.executionunits,
            "traceparent": self.traceparent,
            "tracestate": self.tracestate,
        }
        # Python makes a larger literal in two steps.
        flat["parentid"] = self.parentid
        flat["domain"] = self.domain
        if not self.extensions:
            return flat
        core = {name: flat.pop(name) for name in _CORE}
        return {**core, **self.extensions, **flat}

    def to_json(self) -> str:
        """Return the event as JSON text, the wire format of both languages."""
        return self.to_bytes().decode()

    def to_bytes(self) -> bytes:
        """Return the event as JSON text in UTF-8; it is written once and then kept."""
        if self._json is None:
            # A copy: the bytes that orjson returns hold 8 KB or more, of which it uses a part.
            _JSON.__set__(self, memoryview(orjson.dumps(self.to_dict())).tobytes())
        assert self._json is not None
        return self._json

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
        event = _read_json(text)
        if event is not None:
            return event
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
        content = dict(content)
        event = _read_sound(content, freeze_object)
        if event is not None:
            return event
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


_JSON: Final = Event.__dict__["_json"]


def drop_text(event: Event[Any]) -> None:
    """Drop the JSON text that an event keeps, which takes as much memory as the rest of it:
    `to_bytes` writes it again.
    """
    _JSON.__set__(event, None)


def fill_data(event: Event[Any], loaded: Event[Any]) -> None:
    """Give an event that waited for its data, as no handler has seen it yet, that of *loaded*."""
    for name in ("data", "wire", "_wire_of", "_json"):
        Event.__dict__[name].__set__(event, getattr(loaded, name))


_envelope: Final = attrgetter(*ENVELOPE)
_read_envelope: Final = itemgetter(*ENVELOPE)
_NAMES: Final = frozenset({*ENVELOPE, "data"})
_REQUIRED: Final = ("id", "source", "specversion", "type", "subject", "data", "time")
_construct: Final = constructor(Event)
_with_payload: Final = evolver(Event, "data", "wire", "_wire_of", "_json")
_CORE: Final = (
    "id", "source", "specversion", "type", "subject", "datacontenttype", "dataschema", "data",
    "time",
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


def make_event(  # noqa: PLR0913 - the attributes of the wire
    data: object,
    raw: FrozenDict,
    id: str,  # noqa: A002 - the wire's name
    source: str,
    type: str,  # noqa: A002 - the wire's name
    subject: str,
    *,
    time: str,
    dataschema: str,
    to: str,
    accesscontrol: str | None,
    redirectto: str | None,
    executionunits: float | None,
    traceparent: str | None,
    tracestate: str | None,
    parentid: str | None,
    domain: str | None,
    extensions: FrozenDict,
    is_derived: bool = False,
) -> Event[Any]:
    """Make an event of data whose JSON is *raw*; raises `Violated` for an invalid attribute.

    An address that is no URI is encoded. *is_derived*: all attributes but the addresses, the type
    and the domain are made by the library or come from another event.
    """
    envelope = None
    if not (is_derived and is_sound_route(source, type, dataschema, to, redirectto, domain)):
        envelope = (
            id, source, type, subject, time, "1.0", ARVO_CONTENT_TYPE, dataschema, to,
            accesscontrol, redirectto, executionunits, traceparent, tracestate, parentid, domain,
        )  # fmt: skip
    if envelope is None or (
        is_sound_envelope(envelope) and not (extensions and any(extension_issues(extensions)))
    ):
        return _construct(
            id, source, type, subject, data, time, "1.0", ARVO_CONTENT_TYPE, dataschema, to,
            accesscontrol, redirectto, executionunits, traceparent, tracestate, parentid, domain,
            extensions, raw, data,
        )  # fmt: skip
    invalid: dict[str, Any] = dict(zip(ENVELOPE, envelope, strict=True))
    for name in ("to", "redirectto"):
        if isinstance(invalid[name], str):
            invalid[name] = encode_uri(invalid[name])
    return Event(**invalid, data=data, wire=raw, wire_of=data, extensions=extensions)


def restore_event(content: bytes) -> Event[Any]:
    """Read an event that `Event.to_bytes` wrote; it keeps these bytes.

    Raises ValueError for other text, and `Violated` for another object.
    """
    event = _read_json(content) or Event.from_dict(orjson.loads(content))
    _JSON.__set__(event, content)
    return event


def _read_json(text: str | bytes) -> Event[Any] | None:
    """Read an event that keeps every rule; return None for others, and where it is uncertain."""
    try:
        content = orjson.loads(text)
        if type(content) is not dict:
            return None
        event = _read_sound(content, freeze_parsed)
    except (orjson.JSONDecodeError, UncertainError):
        return None
    if event is not None and (event.executionunits or event.extensions):
        numbers = (event.executionunits, *event.extensions.values())
        return None if any(map(may_be_large_integer, numbers)) else event
    return event


def _read_sound(
    content: dict[str, Any], freeze: Callable[[Any], FrozenDict | Issues]
) -> Event[Any] | None:
    """Read an event that keeps every rule; return None for others, whose issues are to be found.

    *freeze* checks and freezes the data.
    """
    try:
        # As this library writes it: every attribute is there.
        envelope = _read_envelope(content)
        has_extensions = len(content) > len(_NAMES)
    except KeyError:
        envelope = tuple(map(content.get, ENVELOPE))
        has_extensions = not _NAMES.issuperset(content)
    if not is_sound_envelope(envelope):
        return None
    extensions = EMPTY
    if has_extensions:
        extensions = FrozenDict({k: v for k, v in content.items() if k not in _NAMES})
        if any(extension_issues(extensions)):
            return None
    raw = freeze(content.get("data"))
    if type(raw) is not FrozenDict:
        return None
    (
        id_, source, type_, subject, time, version, content_type, schema, to, access, redirectto,
        units, traceparent, tracestate, parentid, domain,
    ) = envelope  # fmt: skip
    return _construct(
        id_, source, type_, subject, raw, time, version, content_type, schema, to, access,
        redirectto, units, traceparent, tracestate, parentid, domain, extensions, raw, raw,
    )  # fmt: skip


_TEXT: Final = str | bytes


def _size_in_bytes(text: str | bytes, bytes_max: int) -> int:
    # Text has at least as many bytes as characters, so huge text need not be encoded for its size.
    if isinstance(text, str) and not text.isascii() and len(text) <= bytes_max:
        return len(text.encode(errors="surrogatepass"))
    check_argument("text", text, _TEXT, "JSON text or its bytes", of="Event.parse")
    return len(text)

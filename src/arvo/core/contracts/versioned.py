"""Versioned: one version of a contract, with factories for its events."""

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, TypedDict, TypeVar, Unpack

from attrs import Factory, field, frozen

from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.event import Event
from arvo.core.events.identity import GivenId, event_id
from arvo.core.events.protocol import (
    FAULT,
    SystemFault,
    system_error_type,
)
from arvo.core.events.stamp import stamp
from arvo.core.events.subject import Subject
from arvo.core.events.uri import encode_uri
from arvo.core.events.wire import Wire
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json_data import freeze_unchecked
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import ContractViolation, Violated

A = TypeVar("A")


class EventOptions(TypedDict, total=False):
    """The optional arguments of an event factory, all with defaults.

    *subject*: the run it belongs to; by default that of a new run. *id*: by default generated;
    `Managed` carries a value in it. *time*: by default now. *to*: by default the event's type.
    """

    subject: Subject | str | None
    id: GivenId
    time: datetime | str | None
    to: str | None
    redirectto: str | None
    accesscontrol: str | None
    executionunits: float | None
    parentid: str | None
    domain: str | None
    traceparent: str | None
    tracestate: str | None
    extensions: Mapping[str, str | float | bool | None]


def _types_by_class(contract: "VersionedContract[Any]") -> Mapping[type, tuple[str, ...]]:
    types: dict[type, tuple[str, ...]] = {}
    for name, payload in contract.emitted.items():
        if payload.type is not None:
            types[payload.type] = (*types.get(payload.type, ()), name)
    return types


@frozen(kw_only=True)
class VersionedContract(Generic[A]):
    """One version of a contract, got by `contract["1.0.0"]`.

    `type` and `accepted` are the type and the payload of the event it accepts; `emitted` maps the
    types of the events it may emit to their payloads.
    """

    uri: str
    version: str
    type: str
    domain: str | None
    description: str | None
    metadata: FrozenDict
    accepted: Payload[A]
    emitted: Mapping[str, Payload[Any]]
    _types: Mapping[builtins.type, tuple[str, ...]] = field(
        init=False, repr=False, eq=False, default=Factory(_types_by_class, takes_self=True)
    )

    @property
    def dataschema(self) -> str:
        """The `dataschema` of its events."""
        return f"{self.uri}/{self.version}"

    @property
    def system_error_type(self) -> str:
        """The type of its system errors, the same in every version."""
        return system_error_type(self.type)

    @property
    def system_error_dataschema(self) -> str:
        """The `dataschema` of its system errors, which names the wildcard version."""
        return f"{self.uri}/{WILDCARD}"

    def json_schema(self) -> dict[str, Any]:
        """Export this version as JSON data; each of its events is `{type, schema}`."""
        return {
            "version": self.version,
            "domain": self.domain,
            "metadata": dict(self.metadata),
            "accepts": {"type": self.type, "schema": self.accepted.schema},
            "systemError": {"type": self.system_error_type, "schema": FAULT.schema},
            "emits": [
                {"type": name, "schema": payload.schema} for name, payload in self.emitted.items()
            ],
        }

    def types_of(self, payload: object) -> tuple[str, ...]:
        """Return the emitted event types whose payload class is that of *payload*."""
        return self._types.get(type(payload), ())

    def accepts(self, payload: A, *, source: str, **options: Unpack[EventOptions]) -> Event[A]:
        """Make the event that this contract accepts; raises `Violated` for an invalid payload.

        Replies go to *source*. Without a *subject* it needs three segments, as the initiator in
        the generated subject does.
        """
        return self._make(
            self.type, self._write(self.type, self.accepted, payload), source, options
        )

    def emits(
        self,
        payload: Any,
        *,
        source: str,
        type: str | None = None,  # noqa: A002 - the wire's name
        **options: Unpack[EventOptions],
    ) -> Event[Any]:
        """Make an event that this contract emits; *type* is needed if the class is ambiguous."""
        event_type = type if type is not None else self._only_type(payload)
        if event_type not in self.emitted:
            issue = Issue("type", _one_of(tuple(self.emitted)), repr(event_type))
            raise Violated(ContractViolation(f"{self.dataschema} emits no such event", issue))
        wire = self._write(event_type, self.emitted[event_type], payload)
        return self._make(event_type, wire, source, options)

    def system_error(
        self, error: BaseException | SystemFault, *, source: str, **options: Unpack[EventOptions]
    ) -> Event[SystemFault]:
        """Make the system error event that reports a failure of this contract's handler."""
        fault = error if isinstance(error, SystemFault) else SystemFault.of(error)
        wire = self._write(self.system_error_type, FAULT, fault)
        return self._make(self.system_error_type, wire, source, options, version=WILDCARD)

    def _only_type(self, payload: object) -> str:
        match self.types_of(payload):
            case (only,):
                return only
            case types:
                expected = _one_of(types or tuple(self.emitted))
                raise Violated(
                    ContractViolation(
                        f"{self.dataschema} cannot tell the event's type from its payload",
                        Issue("type", expected, f"a {type(payload).__name__}"),
                    )
                )

    def _write(
        self, name: str, payload: Payload[Any], value: object, extra: Mapping[str, Any] = EMPTY
    ) -> Wire:
        return Wire(*serialise_payload(payload, value, extra, f"{name} of {self.dataschema}"))

    def _make(
        self,
        name: str,
        wire: Wire,
        source: str,
        options: EventOptions,
        *,
        version: str | None = None,
    ) -> Event[Any]:
        default = stamp()
        time = options.get("time") or default.time
        return Event(
            id=event_id(options.get("id"), default.id),
            source=encode_uri(source),
            type=name,
            subject=encode_uri(str(options.get("subject") or self._subject(source, name, options))),
            dataschema=f"{self.uri}/{version or self.version}",
            data=wire.of,
            wire=wire,
            time=time if isinstance(time, str) else time.isoformat(timespec="milliseconds"),
            to=encode_uri(options.get("to") or name),
            accesscontrol=options.get("accesscontrol"),
            redirectto=_encode(options.get("redirectto")),
            executionunits=options.get("executionunits"),
            traceparent=options.get("traceparent", default.traceparent),
            tracestate=options.get("tracestate", default.tracestate),
            parentid=_encode(options.get("parentid")),
            domain=options.get("domain"),
            extensions=FrozenDict(options.get("extensions") or {}),
        )

    def _subject(self, source: str, name: str, options: EventOptions) -> Subject:
        redirectto = options.get("redirectto")
        return Subject.new(
            process_name(name),
            self.version,
            initiator=encode_uri(source),
            domain=options.get("domain"),
            meta={"redirectto": redirectto} if redirectto else EMPTY,
        )


def process_name(event_type: str) -> str:
    """Return the process name for an event without a subject: its type, with a third segment.

    The TypeScript packages require three segments in a subject.

    >>> process_name("com.user.create"), process_name("user.validate")
    ('com.user.create', 'arvo.user.validate')
    """
    return event_type if event_type.count(".") >= 2 else f"arvo.{event_type}"


def serialise_payload(
    payload: Payload[Any], value: object, extra: Mapping[str, Any], event_name: str
) -> tuple[Any, FrozenDict]:
    """Write a payload and read it back, so that the sender holds what the receiver will see.

    *extra* are values of the protocol's own keys; *event_name* is for error messages. Returns the
    payload and its JSON; raises `Violated`, which names each invalid field.
    """
    json = payload.write(value, extra=extra)
    if isinstance(json, Issues):
        raise Violated(ContractViolation(f"{event_name} does not accept this payload", json))
    raw = freeze_unchecked(json)
    if payload.type is None:
        return raw, raw
    return (value if type(value) is payload.type else payload.read(json)), raw


def _one_of(event_types: tuple[str, ...]) -> str:
    if not event_types:
        return "nothing, because this version emits no events"
    return f"one of {', '.join(event_types)}"


def _encode(text: str | None) -> str | None:
    return None if text is None else encode_uri(text)

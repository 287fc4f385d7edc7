"""Versioned: one version of a contract, with factories for its events."""

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack

from attrs import field, frozen

from arvo.core.contracts.event_spec import EventSpec
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.envelope import time_text
from arvo.core.events.event import Event, make_event
from arvo.core.events.identity import GivenId, event_id
from arvo.core.events.protocol import (
    FAULT,
    SystemFault,
    system_error_type,
)
from arvo.core.events.stamp import stamp
from arvo.core.events.subject import Subject, is_initiator
from arvo.core.events.uri import encode_uri
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.payload import Payload
from arvo.core.violations.arguments import check_argument
from arvo.core.violations.issue import Issue, short_repr
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


@frozen(kw_only=True)
class VersionedContract(Generic[A]):
    """One version of a contract, got by `contract["1.0.0"]`.

    `type` and `accepted` are the type and the payload of the event it accepts; `emitted` maps the
    types of the events it may emit to their payloads. `dataschema` is that of these events.
    `system_error_type` and `system_error_dataschema` are the same in every version: the latter
    names the wildcard version.
    """

    uri: str
    version: str
    type: str
    domain: str | None
    description: str | None
    metadata: FrozenDict
    accepted: Payload[A]
    emitted: Mapping[str, Payload[Any]]
    dataschema: str = field(init=False, repr=False, eq=False)
    system_error_type: str = field(init=False, repr=False, eq=False)
    system_error_dataschema: str = field(init=False, repr=False, eq=False)
    # The event that it accepts, those that it emits by type, and its system error.
    request: EventSpec = field(init=False, repr=False, eq=False)
    answers: Mapping[str, EventSpec] = field(init=False, repr=False, eq=False)
    fault: EventSpec = field(init=False, repr=False, eq=False)
    _types: Mapping[builtins.type, tuple[str, ...]] = field(init=False, repr=False, eq=False)
    # The one of its answers that carries a payload class.
    answer_by_class: Mapping[builtins.type, EventSpec] = field(init=False, repr=False, eq=False)

    @dataschema.default
    def _default_dataschema(self) -> str:
        return f"{self.uri}/{self.version}"

    @system_error_type.default
    def _default_system_error_type(self) -> str:
        return system_error_type(self.type)

    @system_error_dataschema.default
    def _default_system_error_dataschema(self) -> str:
        return f"{self.uri}/{WILDCARD}"

    @request.default
    def _default_request(self) -> EventSpec:
        return EventSpec(self.type, self.accepted, self.dataschema, self.domain)

    @answers.default
    def _default_answers(self) -> Mapping[str, EventSpec]:
        return {
            name: EventSpec(name, payload, self.dataschema, self.domain)
            for name, payload in self.emitted.items()
        }

    @fault.default
    def _default_fault(self) -> EventSpec:
        schema = self.system_error_dataschema
        return EventSpec(self.system_error_type, FAULT, schema, self.domain)

    @answer_by_class.default
    def _default_answer_by_class(self) -> Mapping[builtins.type, EventSpec]:
        return {
            kind: self.answers[names[0]] for kind, names in self._types.items() if len(names) == 1
        }

    @_types.default
    def _default_types(self) -> Mapping[builtins.type, tuple[str, ...]]:
        types: dict[builtins.type, tuple[str, ...]] = {}
        for name, payload in self.emitted.items():
            for kind in payload.instance_types:
                types[kind] = (*types.get(kind, ()), name)
        return types

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
        return self._make(self.request, payload, source, options)

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
        return self._make(self.answers[event_type], payload, source, options)

    def system_error(
        self, error: BaseException | SystemFault, *, source: str, **options: Unpack[EventOptions]
    ) -> Event[SystemFault]:
        """Make the system error event that reports a failure of this contract's handler."""
        fault = error if isinstance(error, SystemFault) else SystemFault.of(error)
        return self._make(self.fault, fault, source, options)

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

    def _make(
        self,
        spec: EventSpec,
        payload: object,
        source: str,
        options: EventOptions,
        extra: Mapping[str, Any] = EMPTY,
    ) -> Event[Any]:
        check_argument("source", source, str, "the address of the sender", of=spec.type)
        default = stamp()
        time = options.get("time") or default.time
        check_argument("time", time, _TIME, "a time with an offset, or its text", of=spec.type)
        extensions = EMPTY
        if given := options.get("extensions"):
            check_argument("extensions", given, Mapping, "a mapping", of=spec.type)
            extensions = FrozenDict(given)
        return make_event(
            *spec.write(payload, extra),
            event_id(options.get("id"), default.id),
            encode_uri(source),
            spec.type,
            encode_uri(str(options.get("subject") or self._subject(source, spec.type, options))),
            time=time if isinstance(time, str) else time_text(time),
            dataschema=spec.dataschema,
            to=options.get("to") or spec.type,
            accesscontrol=options.get("accesscontrol"),
            redirectto=options.get("redirectto"),
            executionunits=options.get("executionunits"),
            traceparent=options.get("traceparent", default.traceparent),
            tracestate=options.get("tracestate", default.tracestate),
            parentid=_encode(options.get("parentid")),
            domain=options.get("domain"),
            extensions=extensions,
        )

    def _subject(
        self, source: str, name: str, options: EventOptions, run: str | None = None
    ) -> Subject:
        redirectto, initiator = options.get("redirectto"), encode_uri(source)
        if not is_initiator(initiator):
            expected = "a name of three segments such as com.shop.web, or a subject= of the event"
            issue = Issue("source", expected, short_repr(source))
            raise Violated(ContractViolation(f"{name} cannot come from this sender", issue))
        return Subject.new(
            process_name(name),
            self.version,
            initiator=initiator,
            domain=options.get("domain"),
            meta={"redirectto": redirectto} if redirectto else EMPTY,
            id=run,
        )


_TIME: Final = str | datetime


def process_name(event_type: str) -> str:
    """Return the process name for an event without a subject: its type, with a third segment.

    The TypeScript packages require three segments in a subject.

    >>> process_name("com.user.create"), process_name("user.validate")
    ('com.user.create', 'arvo.user.validate')
    """
    return event_type if event_type.count(".") >= 2 else f"arvo.{event_type}"


def _one_of(event_types: tuple[str, ...]) -> str:
    if not event_types:
        return "nothing, because this version emits no events"
    return f"one of {', '.join(event_types)}"


def _encode(text: str | None) -> str | None:
    if text is None:
        return None
    check_argument("parentid", text, str, "the id of an event", of="an event")
    return encode_uri(text)

"""Versioned: one version of a contract, and the events it names."""

import builtins
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack, final

from attrs import Factory, field, frozen

from arvo.core.events.cancellation import CANCELLATION, Cancellation, cancel_type
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.envelope import Wire
from arvo.core.events.event import Event
from arvo.core.events.fault import FAULT, SystemFault, system_error_type
from arvo.core.events.identity import GivenId, event_id
from arvo.core.events.stamp import stamp
from arvo.core.events.subject import Subject
from arvo.core.events.uri import encode_uri
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.core.payloads.json import frozen_json
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues
from arvo.core.violations.violation import ContractViolation, Violated

A = TypeVar("A")
C = TypeVar("C")

PARENT_SUBJECT: Final = "parentSubject$$"


class Envelope(TypedDict, total=False):
    """What a factory may be told beside the payload; all of it has a default.

    *subject*: the run it belongs to, made anew where absent. *id*: made up where absent; `Managed`
    carries a value in it. *time*: now. *to*: the event's type.
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
    """One version of a contract: what it accepts, what it may emit (reference F053).

    `type` and `accepted` are the event it takes, `emitted` maps event types to what they carry.
    Got from a contract: `charge["1.0.0"]`.
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
        """The `dataschema` of its events (F053)."""
        return f"{self.uri}/{self.version}"

    @property
    def system_error_type(self) -> str:
        """The type of its system errors, the same in every version (F048)."""
        return system_error_type(self.type)

    @property
    def system_error_dataschema(self) -> str:
        """The `dataschema` of its system errors: the wildcard version (F053)."""
        return f"{self.uri}/{WILDCARD}"

    def json_schema(self) -> dict[str, Any]:
        """Export this version as JSON data: each event it names as `{type, schema}` (F054)."""
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
        """Name the event types that carry payloads of this class: none, one, or several."""
        return self._types.get(type(payload), ())

    def accepts(self, payload: A, *, source: str, **envelope: Unpack[Envelope]) -> Event[A]:
        """Make the event that this contract takes (F068); raises `Violated` where it does not fit.

        *source* is where an answer goes. Without a subject it needs three segments, as a subject's
        initiator does (F071).
        """
        return self._make(self.type, self.accepted, payload, source, envelope)

    def emits(
        self,
        payload: Any,
        *,
        source: str,
        type: str | None = None,  # noqa: A002 - the wire's name
        **envelope: Unpack[Envelope],
    ) -> Event[Any]:
        """Make an event that this contract emits (F069); *type* where the class does not tell."""
        named = type if type is not None else self._only_type(payload)
        if named not in self.emitted:
            known = ", ".join(self.emitted) or "none"
            raise Violated(
                ContractViolation(
                    f"{self.dataschema} emits no such event", Issue("type", known, repr(named))
                )
            )
        return self._make(named, self.emitted[named], payload, source, envelope)

    def system_error(
        self, error: BaseException | SystemFault, *, source: str, **envelope: Unpack[Envelope]
    ) -> Event[SystemFault]:
        """Make the event that says this contract's handler failed (F070)."""
        fault = error if isinstance(error, SystemFault) else SystemFault.of(error)
        return self._make(self.system_error_type, FAULT, fault, source, envelope, version=WILDCARD)

    def _only_type(self, payload: object) -> str:
        match self.types_of(payload):
            case (only,):
                return only
            case types:
                expected = f"one of {', '.join(types or self.emitted) or 'no events'}"
                raise Violated(
                    ContractViolation(
                        f"{self.dataschema} cannot tell the event's type from its payload",
                        Issue("type", expected, f"a {type(payload).__name__}"),
                    )
                )

    def _make(
        self,
        name: str,
        payload: Payload[Any],
        value: object,
        source: str,
        envelope: Envelope,
        *,
        version: str | None = None,
        beside: Mapping[str, Any] = EMPTY,
    ) -> Event[Any]:
        data, raw = written(payload, value, beside, f"{name} of {self.dataschema}")
        made = stamp()
        time = envelope.get("time") or made.time
        return Event(
            id=event_id(envelope.get("id"), made.id),
            source=encode_uri(source),
            type=name,
            subject=encode_uri(
                str(envelope.get("subject") or self._subject(source, name, envelope))
            ),
            dataschema=f"{self.uri}/{version or self.version}",
            data=data,
            wire=Wire(data, raw),
            time=time if isinstance(time, str) else time.isoformat(timespec="milliseconds"),
            to=encode_uri(envelope.get("to") or name),
            accesscontrol=envelope.get("accesscontrol"),
            redirectto=_encoded(envelope.get("redirectto")),
            executionunits=envelope.get("executionunits"),
            traceparent=envelope.get("traceparent", made.traceparent),
            tracestate=envelope.get("tracestate", made.tracestate),
            parentid=_encoded(envelope.get("parentid")),
            domain=envelope.get("domain"),
            extensions=FrozenDict(envelope.get("extensions") or {}),
        )

    def _subject(self, source: str, name: str, envelope: Envelope) -> Subject:
        redirectto = envelope.get("redirectto")
        return Subject.new(
            process_name(name),
            self.version,
            initiator=encode_uri(source),
            domain=envelope.get("domain"),
            meta={"redirectto": redirectto} if redirectto else EMPTY,
        )


@final
@frozen(kw_only=True)
class VersionedWorkflow(VersionedContract[A], Generic[A, C]):
    """One version of an orchestrator's contract: how it begins and how it completes (F056)."""

    name: str

    @property
    def complete_type(self) -> str:
        """The type of its completion event."""
        return f"{self.type}.done"

    @property
    def completed(self) -> Payload[C]:
        """What its completion carries."""
        return self.emitted[self.complete_type]

    def init(
        self,
        payload: A,
        *,
        source: str,
        parent: Subject | str | None = None,
        **envelope: Unpack[Envelope],
    ) -> Event[A]:
        """Make the event that begins a workflow (F074).

        *parent* is the subject of the workflow on whose behalf it runs (a payload that is a mapping
        may name it as the wire does, by `parentSubject$$`): it inherits its domain, and
        its completion goes to *redirectto*, or else to the parent itself (not to the one that
        started the parent, B22).
        """
        if parent is None and isinstance(payload, Mapping):
            named = payload.get(PARENT_SUBJECT)
            parent = named if named is None or isinstance(named, str) else repr(named)
        above = Subject.parse(parent) if isinstance(parent, str) else parent
        if above is not None and not envelope.get("subject"):
            answer_to = envelope.get("redirectto") or above.orchestrator.name
            envelope["subject"] = above.child(
                self.type,
                self.version,
                domain=envelope.get("domain"),
                meta={"redirectto": answer_to},
            )
        beside = {PARENT_SUBJECT: None if above is None else str(above)}
        return self._make(self.type, self.accepted, payload, source, envelope, beside=beside)

    def accepts(self, payload: A, *, source: str, **envelope: Unpack[Envelope]) -> Event[A]:
        """Make the event that begins a workflow which nobody waits for: `init` without a parent."""
        return self.init(payload, source=source, **envelope)

    def cancel(
        self, reason: str, *, source: str, **envelope: Unpack[Envelope]
    ) -> Event[Cancellation]:
        """Make the event that cancels the workflow whose *subject* is given: its last turn, in
        which it undoes what it did, and cancels its children.

        Whoever began it is told by a system error named `Cancelled`.
        """
        envelope["to"] = envelope.get("to") or self.type
        wanted = Cancellation(reason)
        name = cancel_type(self.type)
        return self._make(name, CANCELLATION, wanted, source, envelope, version=WILDCARD)

    def complete(self, payload: C, *, source: str, **envelope: Unpack[Envelope]) -> Event[C]:
        """Make the event that says the workflow is done (F075)."""
        return self._make(self.complete_type, self.completed, payload, source, envelope)


def process_name(event_type: str) -> str:
    """Name the process of a lone event: its type, made three segments long where it is shorter
    (F062).

    >>> process_name("com.user.create"), process_name("user.validate")
    ('com.user.create', 'arvo.user.validate')
    """
    return event_type if event_type.count(".") >= 2 else f"arvo.{event_type}"


def written(
    payload: Payload[Any], value: object, beside: Mapping[str, Any], what: str
) -> tuple[Any, FrozenDict]:
    """Write a payload and read it back: what the sender holds is what the receiver will see.

    Returns the value and its JSON; raises `Violated` with each field that does not fit.
    """
    json = payload.write(value, beside=beside)
    if isinstance(json, Issues):
        raise Violated(ContractViolation(f"{what} does not take this payload", json))
    raw = frozen_json(json)
    if payload.type is None:
        return raw, raw
    return (value if type(value) is payload.type else payload.read(json)), raw


def _encoded(text: str | None) -> str | None:
    return None if text is None else encode_uri(text)

"""Versioned workflow: one version of an orchestrator's contract, and the events it names."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar, Unpack, final

from attrs import field, frozen

from arvo.core.contracts.event_spec import EventSpec
from arvo.core.contracts.versioned import EventOptions, VersionedContract
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.event import Event
from arvo.core.events.identity import (
    ID_REUSE_POLICY,
    KEYED_PREFIX,
    SIGNAL,
    IdReusePolicy,
    begin_id,
    check_begin,
)
from arvo.core.events.protocol import CANCELLATION, Cancellation, cancel_type
from arvo.core.events.subject import Subject
from arvo.core.events.uri import encode_uri
from arvo.core.payloads.frozen_json import FrozenDict
from arvo.core.payloads.payload import Payload
from arvo.core.violations.issue import Issue, Issues, short_repr
from arvo.core.violations.violation import ContractViolation, ExecutionViolation, Violated

A = TypeVar("A")
C = TypeVar("C")

# The key by which the data of an init event names its parent workflow.
PARENT_SUBJECT: Final = "parentSubject$$"
_NO_PARENT: Final = FrozenDict({PARENT_SUBJECT: None})


class BeginOptions(EventOptions, total=False):
    """The optional arguments of an event that begins a workflow: those of every event, and two.

    *workflow_id*: the business key of the run, such as `order-1`; by default generated. Subject and
    event id follow from it, so that a second begin with the same payload is the same event.
    *id_reuse_policy*: whether it may begin the next run where the last one has ended. With another
    policy than "reject" the event's id is generated: keep the event, or give an *id*, to repeat it.
    """

    workflow_id: str | None
    id_reuse_policy: IdReusePolicy


@final
@frozen(kw_only=True)
class VersionedWorkflow(VersionedContract[A], Generic[A, C]):
    """One version of a workflow contract, with factories for its init and completion events.

    *key*: from the payload to the workflow id, for a keyed contract: see `OrchestratorContract`.
    """

    name: str
    key: Callable[[Any], str] | None = field(default=None, repr=False, eq=False)

    @property
    def complete_type(self) -> str:
        """The type of its completion event."""
        return f"{self.type}.done"

    @property
    def completed(self) -> Payload[C]:
        """The payload of its completion event."""
        return self.emitted[self.complete_type]

    @property
    def completion(self) -> EventSpec:
        """Its completion event."""
        return self.answers[self.complete_type]

    def init(
        self,
        payload: A,
        *,
        source: str,
        parent: Subject | str | None = None,
        **options: Unpack[BeginOptions],
    ) -> Event[A]:
        """Make the event that begins a workflow.

        *parent* is the subject of the parent workflow; a payload that is a mapping may name it by
        the key `parentSubject$$`, as on the wire. The child inherits the parent's domain. Its
        completion goes to *redirectto*, or else to the parent itself. (The TypeScript packages send
        it to the initiator of the parent instead.)
        """
        if parent is None and isinstance(payload, Mapping):
            value = payload.get(PARENT_SUBJECT)
            parent = value if value is None or isinstance(value, str) else repr(value)
        parent_subject = Subject.parse(parent) if isinstance(parent, str) else parent
        if self.key is not None:
            return self._init_keyed(payload, source, parent_subject, options)
        workflow_id = options.pop("workflow_id", None)
        if workflow_id is not None or "id_reuse_policy" in options:
            self._identify(workflow_id, source, options)
        if parent_subject is not None and not options.get("subject"):
            reply_address = options.get("redirectto") or parent_subject.orchestrator.name
            options["subject"] = parent_subject.child(
                self.type,
                self.version,
                domain=options.get("domain"),
                meta={"redirectto": reply_address},
                id=workflow_id,
            )
        elif workflow_id is not None:
            options["subject"] = self._subject(source, self.type, options, workflow_id)
        extra = {PARENT_SUBJECT: None if parent_subject is None else str(parent_subject)}
        return self._make(self.request, payload, source, options, extra)

    def keyed_id(self, payload: object) -> str:
        """Return the workflow id of a payload of a keyed contract, an instance or a mapping.

        Raises `Violated` for a payload that does not fit, and for a key that is no workflow id.
        """
        assert self.key is not None
        if isinstance(payload, Mapping) and self.accepted.type is not None:
            payload = self.accepted.read({PARENT_SUBJECT: None, **payload})
            if isinstance(payload, Issues):
                raise Violated(ContractViolation(f"{self.dataschema} has no key", payload))
        try:
            key = self.key(payload)
        except Exception as error:  # a function of a user raises anything
            issue = Issue("key", "a workflow id", short_repr(error))
            raise Violated(ExecutionViolation(f"{self.dataschema} has no key", issue)) from error
        check_begin(key, "reject")
        return key

    def keyed_subject(self, workflow_id: str) -> Subject:
        """Return the subject of the run of a key, the same for each sender.

        Its initiator is an address of no sender: `arvo.keyed.{name}`, which gets the completion.
        """
        initiator = f"{KEYED_PREFIX}{self.name}"
        return Subject.new(self.type, self.version, initiator=initiator, id=workflow_id)

    def _init_keyed(
        self, payload: A, source: str, parent: Subject | None, options: BeginOptions
    ) -> Event[A]:
        key = self.keyed_id(payload)
        given: tuple[tuple[str, object, object], ...] = (
            ("workflow_id", options.pop("workflow_id", None), key),
            ("id_reuse_policy", options.pop("id_reuse_policy", None), None),
            ("subject", options.get("subject"), None),
            ("redirectto", options.get("redirectto"), None),
            ("parent", parent, None),
        )
        issues = tuple(
            Issue(name, "none, or the key of the payload", short_repr(value))
            for name, value, allowed in given
            if value is not None and value != allowed
        )
        if issues:
            text = f"{self.dataschema} is keyed: several senders share a run"
            raise Violated(ExecutionViolation(text, issues))
        options["subject"] = self.keyed_subject(key)
        options["extensions"] = {**(options.get("extensions") or {}), ID_REUSE_POLICY: SIGNAL}
        return self._make(self.request, payload, source, options, _NO_PARENT)

    def _identify(self, workflow_id: object, source: str, options: BeginOptions) -> None:
        """Set the id and the extension of an event that begins a run with a chosen id."""
        policy = options.pop("id_reuse_policy", "reject")
        check_begin(workflow_id, policy)
        assert isinstance(workflow_id, str)
        if options.get("subject"):
            expected = "none, as it follows from workflow_id"
            issue = Issue("subject", expected, short_repr(options["subject"]))
            raise Violated(ExecutionViolation("a begin has a workflow id or a subject", issue))
        options["extensions"] = {**(options.get("extensions") or {}), ID_REUSE_POLICY: policy}
        if policy == "reject" and options.get("id") is None:
            options["id"] = begin_id(encode_uri(source), self.type, workflow_id)

    def accepts(self, payload: A, *, source: str, **options: Unpack[BeginOptions]) -> Event[A]:
        """Make the event that begins a workflow without a parent, as `init` does."""
        return self.init(payload, source=source, **options)

    def cancel(
        self, reason: str, *, source: str, by: str | None = None, **options: Unpack[EventOptions]
    ) -> Event[Cancellation]:
        """Make the event that cancels the workflow of the given *subject*.

        The workflow takes a last turn, in which it sends its compensations and cancels its
        children. Its initiator gets a system error named `Cancelled`, unless *by* is the subject of
        the workflow that began it: that one waits no more.
        """
        options["to"] = options.get("to") or self.type
        request = Cancellation(reason, by)
        spec = EventSpec(cancel_type(self.type), CANCELLATION, f"{self.uri}/{WILDCARD}")
        return self._make(spec, request, source, options)

    def complete(self, payload: C, *, source: str, **options: Unpack[EventOptions]) -> Event[C]:
        """Make the completion event of the workflow."""
        return self._make(self.completion, payload, source, options)


def request_schema(contract: VersionedContract[Any]) -> dict[str, Any]:
    """Return the schema of the payload that a contract accepts, without protocol keys."""
    schema = contract.accepted.schema
    if isinstance(properties := schema.get("properties"), dict):
        properties.pop(PARENT_SUBJECT, None)
    if "required" in schema:
        schema["required"] = [key for key in schema["required"] if key != PARENT_SUBJECT]
        if not schema["required"]:
            del schema["required"]
    return schema

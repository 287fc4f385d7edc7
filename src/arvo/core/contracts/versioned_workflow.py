"""Versioned workflow: one version of an orchestrator's contract, and the events it names."""

from collections.abc import Mapping
from typing import Final, Generic, TypeVar, Unpack, final

from attrs import frozen

from arvo.core.contracts.versioned import EventOptions, VersionedContract
from arvo.core.events.dataschema import WILDCARD
from arvo.core.events.event import Event
from arvo.core.events.protocol import CANCELLATION, Cancellation, cancel_type
from arvo.core.events.subject import Subject
from arvo.core.payloads.payload import Payload

A = TypeVar("A")
C = TypeVar("C")

# The key by which the data of an init event names its parent workflow.
PARENT_SUBJECT: Final = "parentSubject$$"


@final
@frozen(kw_only=True)
class VersionedWorkflow(VersionedContract[A], Generic[A, C]):
    """One version of a workflow contract, with factories for its init and completion events."""

    name: str

    @property
    def complete_type(self) -> str:
        """The type of its completion event."""
        return f"{self.type}.done"

    @property
    def completed(self) -> Payload[C]:
        """The payload of its completion event."""
        return self.emitted[self.complete_type]

    def init(
        self,
        payload: A,
        *,
        source: str,
        parent: Subject | str | None = None,
        **options: Unpack[EventOptions],
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
        if parent_subject is not None and not options.get("subject"):
            reply_address = options.get("redirectto") or parent_subject.orchestrator.name
            options["subject"] = parent_subject.child(
                self.type,
                self.version,
                domain=options.get("domain"),
                meta={"redirectto": reply_address},
            )
        extra = {PARENT_SUBJECT: None if parent_subject is None else str(parent_subject)}
        wire = self._write(self.type, self.accepted, payload, extra)
        return self._make(self.type, wire, source, options)

    def accepts(self, payload: A, *, source: str, **options: Unpack[EventOptions]) -> Event[A]:
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
        name = cancel_type(self.type)
        wire = self._write(name, CANCELLATION, request)
        return self._make(name, wire, source, options, version=WILDCARD)

    def complete(self, payload: C, *, source: str, **options: Unpack[EventOptions]) -> Event[C]:
        """Make the completion event of the workflow."""
        wire = self._write(self.complete_type, self.completed, payload)
        return self._make(self.complete_type, wire, source, options)

"""World: the state of a simulated system, for invariants to inspect."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.core.record import Record
from arvo.handlers.effect import Perform
from arvo.interpreters.ports.messages import DeadLetter

T = TypeVar("T")


@final
@define(eq=False)
class World:
    """The state of a simulated system at one moment. Invariants read it and must not change it.

    *now*: the time. *records*: the records of the workflows, by subject. *sent*: every event that
    came from outside or was sent by a commit, once and in order. *domain_events*: events that left
    by a domain. *replies*: events that returned to their caller. *outcomes*: the ends of workflows
    that listeners of subscriptions have heard. All three may contain an event more than once,
    because they are delivered at least once. *performed*: the effects, one entry for
    each call. *dead_letters*: the dead letters. *is_idle*: whether the system has finished.
    """

    now: datetime
    records: dict[str, Record] = field(factory=dict, init=False)
    sent: list[Event[Any]] = field(factory=list, init=False)
    domain_events: list[Event[Any]] = field(factory=list, init=False)
    replies: list[Event[Any]] = field(factory=list, init=False)
    outcomes: list[Event[Any]] = field(factory=list, init=False)
    performed: list[Perform[Any]] = field(factory=list, init=False)
    dead_letters: list[DeadLetter] = field(factory=list, init=False)
    is_idle: bool = field(default=False, init=False)

    def payloads(self, kind: type[T]) -> list[T]:
        """Return the sent payloads of a class, in order."""
        return [event.data for event in self.sent if isinstance(event.data, kind)]

    def states(self, handler: str) -> Mapping[str, Any]:
        """Return the persisted states of a workflow handler's runs as JSON data, by subject."""
        return {
            subject: record.state
            for subject, record in self.records.items()
            if record.handler == handler
        }

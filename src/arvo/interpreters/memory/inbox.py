"""Inbox: the events that the handlers of a memory backend have consumed."""

from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.core.events.digest import inbox_digest
from arvo.core.events.event import Event
from arvo.interpreters.ports.results import Duplicate, IdReused, compare_digests

# Consumed events that are remembered. Memory is limited, so the oldest are dropped; a message is
# redelivered soon or never.
CONSUMED_MAX: Final = 100_000

_Consumption: TypeAlias = tuple[str, str, str, str]  # handler, event source, event id, subject


@final
@define(eq=False)
class MemoryInbox:
    """Which handler has consumed which event, and the digest of its content."""

    _consumed: dict[_Consumption, str] = field(factory=dict, init=False)

    def has(self, handler: str, event: Event[Any]) -> bool:
        """Return whether a handler has consumed an event."""
        return _consumption(handler, event) in self._consumed

    def compare(self, handler: str, event: Event[Any]) -> Duplicate | IdReused | None:
        """Return whether a handler has consumed an event, or another one with its id."""
        stored = self._consumed.get(_consumption(handler, event))
        return None if stored is None else compare_digests(stored, inbox_digest(event))

    def add(self, handler: str, event: Event[Any]) -> None:
        """Remember that a handler has consumed an event."""
        self._consumed[_consumption(handler, event)] = inbox_digest(event)
        if len(self._consumed) > CONSUMED_MAX:
            del self._consumed[next(iter(self._consumed))]

    def remove(self, handler: str, event: Event[Any]) -> None:
        """Forget it, so that the handler consumes the event once more."""
        self._consumed.pop(_consumption(handler, event), None)


def _consumption(handler: str, event: Event[Any]) -> _Consumption:
    return handler, event.source, event.id, event.subject

"""Inbox: the events that the handlers of a memory backend have consumed."""

from typing import Any, Final, TypeAlias, final

from attrs import define, field

from arvo.core.events.event import Event

# Consumed events that are remembered. Memory is limited, so the oldest are dropped; a message is
# redelivered soon or never.
CONSUMED_MAX: Final = 100_000

_Consumption: TypeAlias = tuple[str, str, str, str]  # handler, event source, event id, subject


@final
@define(eq=False)
class MemoryInbox:
    """Which handler has consumed which event."""

    _consumed: dict[_Consumption, None] = field(factory=dict, init=False)

    def has(self, handler: str, event: Event[Any]) -> bool:
        """Return whether a handler has consumed an event."""
        return _consumption(handler, event) in self._consumed

    def add(self, handler: str, event: Event[Any]) -> None:
        """Remember that a handler has consumed an event."""
        self._consumed[_consumption(handler, event)] = None
        if len(self._consumed) > CONSUMED_MAX:
            del self._consumed[next(iter(self._consumed))]

    def remove(self, handler: str, event: Event[Any]) -> None:
        """Forget it, so that the handler consumes the event once more."""
        self._consumed.pop(_consumption(handler, event), None)


def _consumption(handler: str, event: Event[Any]) -> _Consumption:
    return handler, event.source, event.id, event.subject

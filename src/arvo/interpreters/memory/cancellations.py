"""Cancellations: those under way in a memory backend, by workflow."""

from typing import Any, final

from attrs import define, field

from arvo.core.events.event import Event
from arvo.interpreters.memory.inbox import MemoryInbox
from arvo.interpreters.ports.messages import (
    Delivery,
    Message,
    find_cancellation,
    is_cancellation,
    key_of,
    queue_of,
)


@final
@define(eq=False)
class MemoryCancellations:
    """The cancellations that were accepted and not acknowledged, oldest first."""

    inbox: MemoryInbox
    _waiting: dict[str | None, list[Message]] = field(factory=dict, init=False)

    def add(self, message: Message) -> None:
        """Add a message that was accepted, if it is a cancellation."""
        if is_cancellation(message):
            self._waiting.setdefault(key_of(message.to), []).append(message)

    def remove(self, message: Message) -> None:
        """Remove a message that was acknowledged or dead-lettered."""
        key = key_of(message.to)
        waiting = self._waiting.get(key, [])
        if message in waiting:
            # The first of equal ones: a sender may repeat a message.
            waiting.remove(message)
            if not waiting:
                del self._waiting[key]

    def is_waiting(self, key: str) -> bool:
        """Return whether there is one for a workflow, whether it was consumed before or not."""
        return key in self._waiting

    def pending(self, delivery: Delivery) -> Event[Any] | None:
        """Return the oldest one that a delivery has to yield to."""
        waiting = self._waiting.get(key_of(delivery.message.to), ())
        handler = queue_of(delivery.message.to)
        events = (message.event for message in waiting)
        return find_cancellation(events, delivery, lambda event: self.inbox.has(handler, event))

"""Order: the order in which the messages of each workflow were accepted."""

from collections.abc import Set as AbstractSet
from typing import TypeAlias, final

from attrs import define, field

from arvo.interpreters.ports.messages import Message, key_of, queue_of

# Queue, source, id and subject of an event: it may be consumed at most once under this key.
DeliveryKey: TypeAlias = tuple[str, str, str, str]


@final
@define(eq=False)
class DeliveryOrder:
    """Finds deliveries that overtake: an earlier message of their key is not *settled* yet.

    Timers are never added: they come at their time.
    """

    settled: AbstractSet[DeliveryKey]
    _lines: dict[tuple[str, str], list[DeliveryKey]] = field(factory=dict, init=False)
    _deferred: set[DeliveryKey] = field(factory=set, init=False)
    # By the message for which a worker has asked: how many messages its line had then.
    _looks: dict[DeliveryKey, int] = field(factory=dict, init=False)

    def add(self, message: Message) -> None:
        """Add a message at the end of the line of its key."""
        if line := _line_of(message):
            self._lines.setdefault(line, []).append(delivery_key(message))

    def defer(self, message: Message) -> None:
        """Let later messages overtake this one until it is delivered again."""
        self._deferred.add(delivery_key(message))

    def look(self, message: Message) -> None:
        """Record that a worker asks which messages of a key wait, before it takes turns of that
        workflow whose events are no messages: those that come later are behind them.
        """
        if line := _line_of(message):
            self._looks[delivery_key(message)] = len(self._lines.get(line, ()))

    def overtaken(self, message: Message, first: Message) -> str | None:
        """Return the id of an event that *message* overtakes: it is none that was accepted, but
        emitted by a turn of the chain that began with *first*.
        """
        line = _line_of(message)
        keys = self._lines.get(line, []) if line is not None else []
        for key in keys[: self._looks.get(delivery_key(first), len(keys))]:
            if key not in self.settled and key not in self._deferred:
                return key[2]
        return None

    def deliver(self, message: Message) -> str | None:
        """Record a delivery; return the id of an event that it overtakes, None if there is none."""
        own = delivery_key(message)
        self._deferred.discard(own)
        line = _line_of(message)
        keys = self._lines.get(line, []) if line is not None else []
        for key in keys[: keys.index(own)] if own in keys else []:
            if key not in self.settled and key not in self._deferred:
                return key[2]
        return None


def delivery_key(message: Message) -> DeliveryKey:
    """Return the key under which an event is consumed at most once."""
    return queue_of(message.to), message.event.source, message.event.id, message.event.subject


def _line_of(message: Message) -> tuple[str, str] | None:
    key = key_of(message.to)
    return None if key is None else (queue_of(message.to), key)

"""Broker: a model of a message broker, which all processes of a pair share."""

from typing import ClassVar, Final

from attrs import define, field

from arvo.interpreters.delivery.brokers.ordering import ordering_key
from arvo.interpreters.paired.documents.codec import decode_message
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.ports.errors import TooLarge
from arvo.testing.simulation.cluster.entry import Entry
from arvo.testing.simulation.cluster.queue import MessageQueue

# How long the broker remembers the id of a message, and drops another one with the same id.
COPY_SECONDS: Final = 60.0


@define(eq=False)
class SimulatedBroker(MessageQueue[EncodedMessage, EncodedDelivery]):
    """A correct broker without time or concurrency. Its messages of one key keep their order.

    Every operation is atomic. A delivery belongs to a consumer until it is settled or the lease of
    the consumer has expired. Override an operation to see which promises a wrong broker breaks.
    """

    # Whether a returned message keeps its place; see `DefersDeliveries`.
    keeps_order: ClassVar[bool] = True
    # Whether it counts each delivery, and not which of them were returned; see `Broker`.
    nacks_are_returns: bool = field(default=False, init=False)
    # The source and id of the events that are above its size limit.
    _refused: set[tuple[str, str]] = field(factory=set, init=False)
    _ids: dict[str, float] = field(factory=dict, init=False)

    def publish(self, message: EncodedMessage) -> None:
        """Add a message, unless one with the same id was published just now."""
        self._check_size(message)
        if message.id is not None:
            since = self._ids.get(message.id)
            if since is not None and self.time() - since <= COPY_SECONDS:
                return
            self._ids[message.id] = self.time()
        self.enqueue(message)
        self._check_size(message)

    def refuse(self, entry: Entry) -> None:
        """Refuse a message that is being published: it is above the size limit."""
        # By its id: an event that is sent once more may have another time.
        self._refused.add(_identity(entry.message))
        del self.queue[entry.number]

    def enqueue(self, message: EncodedMessage) -> None:
        """Add a message at the end of its queue; it is delivered when it is due."""
        key, delay = ordering_key(message), 0.0
        if message.due is not None:
            delay = max(0.0, (message.due - self.now()).total_seconds())
        self.add(message, message.queue, None if key is None else f"{message.queue} {key}", delay)

    def deliver(self, queue: str, consumer: str) -> EncodedDelivery | None:
        """Deliver the first message of a queue that is available and whose key is free."""
        entry = self.take(queue, consumer)
        if entry is None:
            return None
        returns = entry.attempt - 1 if self.nacks_are_returns else entry.deaths
        return EncodedDelivery(entry.message, entry.attempt, entry.token, returns)

    def count_return(self, entry: Entry) -> None:
        """Count a delivery that its consumer did not settle."""
        entry.attempt += 1
        entry.deaths += 1

    def ack(self, consumer: str, delivery: EncodedDelivery) -> None:
        """Delete a message that was processed."""
        self.remove(consumer, delivery)

    def dead_letter(self, consumer: str, delivery: EncodedDelivery) -> None:
        """Delete a message that cannot be processed."""
        self.remove(consumer, delivery)

    def has_others(self, consumer: str, delivery: EncodedDelivery) -> bool:
        """Return whether another message of a key is stored, or the consumer does not hold this
        one. Those that were deferred do not count, nor timers that are not due.
        """
        if not self.holds(consumer, delivery):
            return True
        own, now = self.entry(delivery), self.time()
        if own.key is None:
            return True
        return any(
            each.key == own.key
            and each is not own
            and not (each.available_at > now and (each.deferred or _is_unfired(each)))
            for each in self.queue.values()
        )

    def _check_size(self, message: EncodedMessage) -> None:
        if self._refused and _identity(message) in self._refused:
            raise TooLarge("the message is above the size limit of the broker")


def _is_unfired(entry: Entry) -> bool:
    return entry.message.due is not None and not entry.delivery_count


def _identity(message: EncodedMessage) -> tuple[str, str]:
    event = decode_message(message).event
    return event.source, event.id

"""Partitions: a model of a broker that gives all messages of a key to one consumer."""

from typing import ClassVar

from attrs import define

from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.testing.simulation.cluster.entry import Entry
from arvo.testing.simulation.pair.broker import SimulatedBroker


@define(eq=False)
class PartitionedBroker(SimulatedBroker):
    """A broker such as Kafka or RabbitMQ: the messages of a key go to one consumer, in their order.

    It delivers them without waiting for each other, and a returned one comes after the others. They
    go to another consumer once the first has settled or lost all that it received.

    >>> from arvo.testing import PairModel
    >>> PairModel(broker=PartitionedBroker).broker.keeps_order
    False
    """

    keeps_order: ClassVar[bool] = False

    def take(self, queue: str, holder: str) -> Entry | None:
        """Take the first available entry of a queue whose key no other consumer has."""
        entries = self.queue.values()
        owners: dict[str | None, str] = {}
        for each in entries:
            if each.key is not None and each.holder is not None:
                owners[each.key] = each.holder
        blocked: set[str | None] = set()
        for entry in entries:
            if entry.holder is not None or (entry.key is not None and entry.key in blocked):
                continue
            if entry.available_at > self.time():
                if not entry.deferred:
                    blocked.add(entry.key)
            elif entry.queue == queue and owners.get(entry.key, holder) == holder:
                return self.give(entry, holder)
        return None

    def nack(self, holder: str, delivery: EncodedDelivery, delay: float) -> None:
        """Redeliver a message after *delay* seconds; it loses its place."""
        self.defer(holder, delivery, delay)

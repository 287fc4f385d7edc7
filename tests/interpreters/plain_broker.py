"""Plain broker: one with the operations that every broker must have, and no others."""

from collections.abc import AsyncIterator, Sequence

from attrs import define, evolve, field

from arvo import EncodedDelivery, EncodedMessage, MemoryBroker


@define(eq=False)
class PlainBroker:
    """A broker that does no more than it must: it cannot count, and delivers timers early."""

    inner: MemoryBroker = field(factory=MemoryBroker)

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        await self.inner.publish([evolve(message, due=None) for message in messages])

    def deliveries(self, queues: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
        return self.inner.deliveries(queues)

    async def ack(self, delivery: EncodedDelivery) -> None:
        await self.inner.ack(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        await self.inner.nack(delivery, delay)

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        await self.inner.dead_letter(delivery, reason)

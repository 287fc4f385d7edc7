"""Consumers: two consumers of a broker, of which either may receive the next message."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any, Self

from arvo.interpreters.paired.documents.codec import decode_message
from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.testing.conformance.kit.kit import Kit


class Consumers:
    """A consumer of *broker*, and one of a second broker at the same path.

    Both wait from the beginning, and each delivery is settled at the broker that delivered it. If
    the data of the broker is not shared, both are consumers of *broker*.
    """

    def __init__(self, kit: Kit, broker: Any, queue: str) -> None:
        self._kit, self._broker, self._queue = kit, broker, queue
        self._stack = AsyncExitStack()
        self._iterations: list[_Iteration] = []
        self._owners: dict[int, _Iteration] = {}

    async def __aenter__(self) -> Self:
        """Start both."""
        other = self._broker
        if self._kit.is_durable:
            other = await self._stack.enter_async_context(self._kit.session())
        for broker in (self._broker, other):
            iteration = _Iteration(broker, broker.deliveries([self._queue]))
            await self._stack.enter_async_context(aclosing(iteration))
            self._iterations.append(iteration)
            _ = iteration.pending()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End both, and close the second broker."""
        await self._stack.aclose()

    async def take(self, name: str) -> EncodedDelivery:
        """Receive the next message, which has to be the event of this name."""
        return (await self.take_all(name))[name]

    async def take_all(self, *names: str) -> dict[str, EncodedDelivery]:
        """Receive the next messages, which have to be the events of these names in any order."""
        deliveries: dict[str, EncodedDelivery] = {}
        while len(deliveries) < len(names):
            iteration, delivery = await self._next(", ".join(names))
            name = decode_message(delivery.message).event.id
            assert name in names, f"expected {names}, got {name!r}"
            assert name not in deliveries, f"{name!r} was delivered twice"
            deliveries[name] = delivery
            self._owners[id(delivery)] = iteration
        return deliveries

    async def expect_nothing(self) -> None:
        """Fail if either consumer receives a message within the quiet period; both wait on."""
        waits = [iteration.pending() for iteration in self._iterations]
        done, _ = await asyncio.wait(waits, timeout=self._kit.quiet_period)
        for wait in done:
            received = decode_message(wait.result().message).event.id
            raise AssertionError(f"expected nothing, got {received!r}")

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Acknowledge a delivery."""
        await self._broker_of(delivery).ack(delivery)

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Nack a delivery."""
        await self._broker_of(delivery).nack(delivery, delay)

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Defer a delivery."""
        await self._broker_of(delivery).defer(delivery, delay)

    async def dead_letter(self, delivery: EncodedDelivery) -> None:
        """Dead-letter a delivery."""
        await self._broker_of(delivery).dead_letter(delivery, "no handler accepts it")

    async def has_others(self, delivery: EncodedDelivery) -> bool:
        """Return whether the broker stores another message of the key of a delivery."""
        has_others: bool = await self._broker_of(delivery).has_others(delivery)
        return has_others

    async def end(self, delivery: EncodedDelivery) -> None:
        """End the consumer that has a delivery."""
        iteration = self._owners[id(delivery)]
        self._iterations.remove(iteration)
        await iteration.aclose()

    def _broker_of(self, delivery: EncodedDelivery) -> Any:
        return self._owners[id(delivery)].broker

    async def _next(self, description: str) -> "tuple[_Iteration, EncodedDelivery]":
        waits = {iteration.pending(): iteration for iteration in self._iterations}
        waiting = asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        done, _ = await self._kit.eventually(waiting, description)
        wait = done.pop()
        return waits[wait], waits[wait].take()


class _Iteration:
    """An iteration of a broker. A wait that was given up goes on with the next one."""

    def __init__(self, broker: Any, incoming: AsyncIterator[EncodedDelivery]) -> None:
        self.broker = broker
        self._incoming: Any = incoming
        self._next: asyncio.Task[EncodedDelivery] | None = None

    def pending(self) -> "asyncio.Task[EncodedDelivery]":
        """Return the task that waits for the next delivery."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._incoming))
        return self._next

    def take(self) -> EncodedDelivery:
        """Return the delivery that has arrived."""
        assert self._next is not None
        delivery, self._next = self._next.result(), None
        return delivery

    async def aclose(self) -> None:
        """End the iteration."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
            self._next = None
        await self._incoming.aclose()

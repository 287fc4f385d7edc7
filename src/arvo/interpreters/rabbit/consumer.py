"""Consumer: one iteration of the broker: its channels, and the deliveries that it has received."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from attrs import define, field

from arvo.interpreters.delivery.brokers.key_queue import KeyQueue
from arvo.interpreters.delivery.tasks import end_task, gather_all, supervise
from arvo.interpreters.ports.broker import EncodedDelivery
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.rabbit.balance import Balance
from arvo.interpreters.rabbit.connection import CALL_SECONDS_MAX, Connection, close_channel
from arvo.interpreters.rabbit.errors import translate_errors
from arvo.interpreters.rabbit.forwarder import Forwarder
from arvo.interpreters.rabbit.publisher import Publisher
from arvo.interpreters.rabbit.queues import Queues
from arvo.interpreters.rabbit.source import Source

# Unsettled messages of one queue with keys in this process, most of which wait for their key or a
# delay: beyond that, the other keys of that queue wait too. No version may have a lower maximum
# than one before: the server puts returned messages behind those that were returned earlier and are
# still there, so the next process must be able to receive all of them at once.
ORDERED_PREFETCH: Final = 500


@final
@define(eq=False)
class Consumer:
    """Receives the messages of addresses, and delivers those of one key one at a time.

    The server gives a queue of messages with keys to one consumer at a time, the one that has
    waited longest. Such a queue has a channel of its own, so that it can go to another process
    without the others.
    """

    connection: Connection
    queues: Queues
    publisher: Publisher
    prefetch: int
    addresses: Sequence[str]
    # The queues with keys, by name.
    _ordered: dict[str, Source] = field(factory=dict, init=False)
    _balance: Balance = field(init=False)
    # All sources; the first one is the next to deliver from.
    _sources: list[Source] = field(factory=list, init=False)
    _wakeup: asyncio.Event = field(factory=asyncio.Event, init=False)
    _error: Exception | None = field(default=None, init=False)
    # Whether it receives from all queues. A busy server takes seconds to get there.
    is_open: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._balance = Balance(self.connection, self.queues, self.addresses, self._ordered)

    async def deliveries(self) -> AsyncGenerator[EncodedDelivery, None]:
        """Deliver messages until a channel or one of the queues is gone: then raise."""
        forwarder = Forwarder(self.queues, self.publisher)
        balance = self._balance
        forwarding = balancing = None
        try:
            for address in self.addresses:
                for name in self._names(address):
                    await self.queues.declare(name, address)
            await self._open_shared(forwarder)
            for address in self.addresses:
                names = self.queues.ordered(address)
                await gather_all([self._open_ordered(name, address) for name in names])
            self.is_open = True
            forwarding = self._start(forwarder.run())
            balancing = self._start(balance.run(self._reopen))
            while True:
                self._wakeup.clear()
                if self._error is not None:
                    raise self._error
                delivery = self._next()
                if delivery is None:
                    await self._wakeup.wait()
                else:
                    yield delivery
        finally:
            balance.stop()
            if forwarding is not None and balancing is not None:
                forwarding.cancel()
                await end_task(balancing)
            for source in self._sources:
                source.close()
            await asyncio.gather(
                *(self.connection.finish(_end(source)) for source in self._sources)
            )

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return supervise(work, name="arvo rabbit", on_failure=self._fail)

    def _next(self) -> EncodedDelivery | None:
        for number, source in enumerate(self._sources):
            if (delivery := source.take()) is not None:
                self._sources = [*self._sources[number + 1 :], *self._sources[: number + 1]]
                return delivery
        return None

    def _names(self, address: str) -> list[str]:
        queues = self.queues
        return [queues.inlet(address), queues.unordered(address), *queues.ordered(address)]

    async def _open_shared(self, forwarder: Forwarder) -> None:
        """Consume the queues without keys."""
        channel = await self.connection.consumer()
        tags: list[tuple[str, str]] = []
        source = Source(channel, KeyQueue(self._wakeup.set), partial(_cancel, channel, tags))
        self._sources.append(source)
        with translate_errors():
            async with asyncio.timeout(CALL_SECONDS_MAX):
                await self._watch(channel)
                await self._balance.open(channel)
                for address in self.addresses:
                    inlet, unordered = self.queues.inlet(address), self.queues.unordered(address)
                    await _consume(channel, inlet, 1, _each(forwarder.add, address))
                    add = _each(source.add, address)
                    tags.append((unordered, await _consume(channel, unordered, self.prefetch, add)))

    async def _open_ordered(self, name: str, address: str) -> None:
        """Consume a queue with keys, after the consumers that are there."""
        channel = await self.connection.consumer()
        messages, leave = KeyQueue(self._wakeup.set), partial(self._balance.leave, name, address)
        flush = partial(_wait_behind, channel, name)
        source = self._ordered[name] = Source(channel, messages, flush, leave)
        self._sources.append(source)
        with translate_errors():
            async with asyncio.timeout(CALL_SECONDS_MAX):
                await self._watch(channel, name)
                await _consume(channel, name, ORDERED_PREFETCH, _each(source.add, address))

    async def _reopen(self, name: str, address: str) -> None:
        """Give a queue to the next consumer, and wait behind the others for it."""
        source = self._ordered.pop(name)
        source.close()
        await self.connection.finish(_end(source))
        # Not before: if this is cancelled, the end of the iteration has to close the channel.
        self._sources.remove(source)
        await self._open_ordered(name, address)

    async def _watch(self, channel: AbstractChannel, name: str | None = None) -> None:
        """End the iteration when a channel is closed, or one of its queues deleted."""

        def on_end(*_: object) -> None:
            is_open = name is None or (
                name in self._ordered and self._ordered[name].channel is channel
            )
            if is_open:
                # One of the queues may have been deleted.
                self.connection.declared.clear()
                self._fail(Unavailable("rabbit: the connection or a queue is gone"))

        channel.close_callbacks.add(on_end)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(on_end)

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._wakeup.set()


async def _consume(channel: AbstractChannel, name: str, prefetch: int, on_message: Any) -> str:
    """Consume a queue; return the tag of the consumer."""
    # It counts for each consumer that is added after it.
    await channel.set_qos(prefetch_count=prefetch)
    queue = await channel.get_queue(name, ensure=False)
    return await queue.consume(on_message)


def _each(add: Callable[[str, AbstractIncomingMessage], None], address: str) -> Any:
    async def on_message(incoming: AbstractIncomingMessage) -> None:
        add(address, incoming)

    return on_message


async def _wait_behind(channel: AbstractChannel, name: str) -> None:
    """Add a consumer behind the one of this channel, and so wait for the acks before it.

    Not by cancelling that one: the next process would receive later messages of a key before this
    channel returns the unsettled ones.
    """
    await _consume(channel, name, 1, _each(lambda *_: None, ""))


async def _cancel(channel: AbstractChannel, tags: Sequence[tuple[str, str]]) -> None:
    """Cancel consumers, and so wait for the acks before that."""
    for name, tag in tags:
        queue = await channel.get_queue(name, ensure=False)
        await queue.cancel(tag)


async def _end(source: Source) -> None:
    if source.has_acked:
        with suppress(*CONNECTION_EXCEPTIONS):
            await source.flush()
    await close_channel(source.channel)

"""Balance: spreads the queues with keys over the processes of an address."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Final, TypeAlias, final
from uuid import uuid4

import aio_pika
import orjson
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from attrs import define, field

from arvo.interpreters.delivery.brokers.ordering import key_token
from arvo.interpreters.ports.errors import Unavailable
from arvo.interpreters.rabbit.connection import Connection
from arvo.interpreters.rabbit.queues import Queues
from arvo.interpreters.rabbit.source import Source

# How long a queue that is to move waits for the messages that workers have. Then it goes on here,
# and moves after another while.
DRAIN_SECONDS_MAX: Final = 5.0
POLL_SECONDS: Final = 0.05

# Gives a queue of an address to the consumer that has waited longest.
Reopen: TypeAlias = Callable[[str, str], Awaitable[None]]


@final
@define(eq=False)
class Balance:
    """Gives queues to consumers that join, and those with a message for others to the next one.

    The server gives a queue to the consumer that has waited longest, and never takes it away: the
    first process would have all of them. So a consumer that joins announces itself to the others,
    and each of them moves behind it in the queues that the new one is to have, which is decided by
    a hash of consumer and queue. *sources*: the queues that this consumer waits for, by name.
    """

    connection: Connection
    queues: Queues
    addresses: Sequence[str]
    sources: Mapping[str, Source]
    _member: str = field(factory=lambda: uuid4().hex, init=False)
    # The queues that others are to have, with their addresses, and when each may drain until.
    _leaving: dict[str, str] = field(factory=dict, init=False)
    _deadlines: dict[str, float] = field(factory=dict, init=False)
    # Until when a queue with a message for others waits for those that are put off.
    _held_until: dict[str, float] = field(factory=dict, init=False)
    _wakeup: asyncio.Event = field(factory=asyncio.Event, init=False)
    _is_stopping: bool = field(default=False, init=False)

    async def open(self, channel: AbstractChannel) -> None:
        """Listen to the consumers that join."""
        exchange = await channel.declare_exchange(
            self._exchange, ExchangeType.FANOUT, durable=False, auto_delete=True
        )
        queue = await channel.declare_queue(
            exclusive=True, auto_delete=True, arguments={"x-queue-type": "classic"}
        )
        await queue.bind(exchange)
        await queue.consume(self._on_join, no_ack=True)

    async def run(self, reopen: Reopen) -> None:
        """Announce this consumer, and leave queues to others, until `stop`."""
        content = {"member": self._member, "addresses": self.addresses}
        with suppress(Unavailable):
            async with self.connection.publishing() as channel:
                exchange = await channel.get_exchange(self._exchange, ensure=False)
                await exchange.publish(aio_pika.Message(orjson.dumps(content)), "")
        while not self._is_stopping:
            self._wakeup.clear()
            for name, address in list(self._leaving.items()):
                if self._is_drained(name, self.sources[name]):
                    del self._leaving[name]
                    await reopen(name, address)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS if self._leaving else None):
                    await self._wakeup.wait()

    def leave(self, name: str, address: str) -> None:
        """Give a queue to the next consumer, because it has a message for others."""
        self._leaving[name] = address
        self._held_until.setdefault(name, monotonic() + DRAIN_SECONDS_MAX)
        self._wakeup.set()

    def stop(self) -> None:
        """Leave no more queues. One that is being left has to be left first, or it stays behind."""
        self._is_stopping = True
        self._wakeup.set()

    async def _on_join(self, incoming: AbstractIncomingMessage) -> None:
        content = orjson.loads(incoming.body)
        member = content["member"]
        for address in {*self.addresses}.intersection(content["addresses"]):
            for name in self.queues.ordered(address):
                if _weight(member, name) > _weight(self._member, name):
                    self._leaving[name] = address
        self._wakeup.set()

    def _is_drained(self, name: str, source: Source) -> bool:
        """Drain a queue, unless one of its messages is put off; return True when it is drained.

        A queue with a message for others does not wait longer for one that is put off: workflows of
        a version that only other processes have would wait with it.
        """
        now = monotonic()
        deadline = self._deadlines.get(name, now + DRAIN_SECONDS_MAX)
        # It drains until the deadline, then goes on for as long, then drains again.
        is_over = deadline < now
        if now > deadline + DRAIN_SECONDS_MAX:
            deadline, is_over = now + DRAIN_SECONDS_MAX, False
        self._deadlines[name] = deadline
        is_held = source.held and now < self._held_until.get(name, inf)
        source.is_draining = not (is_held or is_over)
        if not source.is_draining:
            source.messages.on_ready()
        elif not source.in_flight:
            del self._deadlines[name]
            self._held_until.pop(name, None)
            return True
        return False

    @property
    def _exchange(self) -> str:
        return f"{self.queues.inlet('consumers')}:joined"


def _weight(member: str, name: str) -> int:
    return int(key_token(f"{member} {name}"), 16)

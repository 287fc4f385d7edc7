"""Source: what a consumer receives on one channel, and which of it workers have."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, final

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from attrs import define, evolve, field, frozen

from arvo.interpreters.delivery.brokers.headers import ORDER, take_attempt
from arvo.interpreters.delivery.brokers.key_queue import KeyQueue
from arvo.interpreters.delivery.brokers.ordering import is_timer
from arvo.interpreters.ports.broker import EncodedDelivery, EncodedMessage
from arvo.interpreters.rabbit.connection import ack

# How long a queue stays in a process at least, after a message that is for another one: each move
# returns all of its messages.
STAY_SECONDS_MIN: Final = 0.5


def _stay() -> None:
    """Do nothing: all processes have the queues without keys."""


@final
@frozen(eq=False)
class Token:
    """One delivery. *partition*: the header of its key, empty for none. *order*: the same, but
    empty for a timer, which waits for no other message. *is_held*: it is put off.
    """

    source: "Source"
    incoming: AbstractIncomingMessage
    partition: str
    order: str
    is_held: bool = False


@final
@define(eq=False)
class Source:
    """The messages of one channel: of a queue with keys, or of all queues without.

    When the channel is closed, the server returns the unsettled messages in order. *flush* waits
    until the server has applied the acks: a quorum queue forgets those of the last milliseconds
    when the channel is closed (issue 10327 of rabbitmq-server). *leave* is called when the queue is
    to go to another process.
    """

    channel: AbstractChannel
    messages: KeyQueue
    flush: Callable[[], Awaitable[None]]
    leave: Callable[[], None] = _stay
    in_flight: set[Token] = field(factory=set, init=False)
    # Messages that are put off.
    held: int = field(default=0, init=False)
    has_acked: bool = field(default=False, init=False)
    # Nothing of it is delivered, because another process is to get its queue.
    is_draining: bool = field(default=False, init=False)

    def add(self, address: str, incoming: AbstractIncomingMessage) -> None:
        """Add a message that the server has delivered."""
        message = message_of(address, incoming)
        headers = dict(message.headers)
        partition, returns = headers.pop(ORDER, ""), _returns(incoming)
        attempt = take_attempt(headers)
        message = evolve(message, headers=headers)
        order = "" if is_timer(message) else partition
        token = Token(self, incoming, partition, order)
        self.messages.add(EncodedDelivery(message, attempt + returns, token, returns), order)

    def take(self) -> EncodedDelivery | None:
        """Return the next delivery, None if there is none."""
        delivery = None if self.is_draining else self.messages.pop()
        if delivery is None:
            return None
        self.held -= delivery.token.is_held
        # A new token for each delivery: a worker that lost the message settles nothing.
        token = evolve(delivery.token, is_held=False)
        self.in_flight.add(token)
        return evolve(delivery, token=token)

    def owns(self, delivery: EncodedDelivery) -> bool:
        """Return True if a delivery is still in flight here."""
        return delivery.token in self.in_flight and not self.channel.is_closed

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Settle a delivery, and let the next one of its key pass."""
        token: Token = delivery.token
        if self.owns(delivery):
            self.in_flight.discard(token)
            self.has_acked = True
            await ack(token.incoming)
            self.messages.release(token.order)

    def hold(self, delivery: EncodedDelivery, delay: float) -> None:
        """Deliver again after *delay* seconds, before the others of its key. It stays unsettled."""
        self.in_flight.discard(delivery.token)
        self.held += 1
        token = evolve(delivery.token, is_held=True)
        self.messages.put_back(evolve(delivery, attempt=delivery.attempt + 1, token=token), delay)

    def pass_on(self, delivery: EncodedDelivery, delay: float) -> None:
        """Keep a message, and so its key, until the queue leaves, in *delay* seconds or later."""
        self.in_flight.discard(delivery.token)
        self.messages.call_later(max(delay, STAY_SECONDS_MIN), self.leave)

    def close(self) -> None:
        """Forget all messages."""
        self.in_flight.clear()
        self.messages.close()


def message_of(address: str, incoming: AbstractIncomingMessage) -> EncodedMessage:
    """Make a message; other programs, and the server, may have added headers of any type."""
    headers = {
        name: value
        for name, value in incoming.headers.items()
        if isinstance(value, str) and not name.startswith("x-")
    }
    return EncodedMessage(address, incoming.body, headers)


def _returns(incoming: AbstractIncomingMessage) -> int:
    """Return how often the server took a message back; which header has it depends on its version.

    A message without a key is published again by a nack, so it counts from 0.
    """
    counts: list[Any] = [
        incoming.headers.get(name) for name in ("x-delivery-count", "x-acquired-count")
    ]
    numbers = [count for count in counts if isinstance(count, int)]
    return max(int(bool(incoming.redelivered)), *numbers, 0)

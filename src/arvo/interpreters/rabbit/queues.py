"""Queues: the queues of an address in RabbitMQ, and which of them a message goes to."""

from typing import Any, Final, final

from attrs import define

from arvo.interpreters.delivery.brokers.names import ALPHANUMERIC, escape_name, shorten_name
from arvo.interpreters.ports.messages import OUTBOUND_QUEUE, REPLY_QUEUE
from arvo.interpreters.rabbit.connection import Connection
from arvo.interpreters.rabbit.delays import Delays

# Queues of an address whose messages have a key. The server gives each of them to one process at a
# time. All processes on a server must agree on the number: to change it, let them run empty first.
PARTITIONS: Final = 16
# Messages in the dead-letter queue of one address; the oldest are dropped.
DEAD_LETTERS_MAX: Final = 100_000
# After so many deliveries without a settlement, the server moves a message to the dead letters: it
# probably kills each process that receives it.
RETURNS_MAX: Final = 1_000
# The length of a queue's name. A routing key has at most 255 bytes, and also holds a delay.
NAME_BYTES_MAX: Final = 180
# The characters of a queue's name that the driver accepts, without the escape character.
_PLAIN: Final = ALPHANUMERIC + "_.-"


@final
@define(eq=False)
class Queues:
    """The queues of each address, declared before their first use on a connection.

    `{prefix}:{address}` is for other programs, one process at a time forwards its messages. Those
    with a key are in `…:0` to `…:15`, by its hash, and those without one in `…:unordered`. Dead
    letters are in `…:dead`. *queue_max*: messages in one of them, above which it refuses.
    """

    prefix: str
    queue_max: int
    connection: Connection
    delays: Delays

    def inlet(self, address: str) -> str:
        """Return the name of the queue for messages of other programs."""
        parts = (escape_name(text, plain=_PLAIN, escape=",") for text in (self.prefix, address))
        return shorten_name(":".join(parts), NAME_BYTES_MAX, separator=":")

    def dead_letters(self, address: str) -> str:
        """Return the name of the queue of an address's dead letters."""
        return f"{self.inlet(address)}:dead"

    def unordered(self, address: str) -> str:
        """Return the name of the queue for messages without a key."""
        return f"{self.inlet(address)}:unordered"

    def ordered(self, address: str) -> list[str]:
        """Return the names of the queues for messages with a key; replies have none."""
        count = 0 if address in (OUTBOUND_QUEUE, REPLY_QUEUE) else PARTITIONS
        return [f"{self.inlet(address)}:{number}" for number in range(count)]

    def route(self, address: str, partition: str) -> str:
        """Return the name of the queue for a message by the header of its key."""
        if not partition:
            return self.unordered(address)
        return f"{self.inlet(address)}:{int(partition, 16) % PARTITIONS}"

    async def declare(self, name: str, address: str, *, is_delayed: bool = False) -> None:
        """Create a queue of an address, its inlet, and its dead letters, if they do not exist.

        *is_delayed*: with the delays before it.
        """
        dead_letters = self.dead_letters(address)
        quorum: dict[str, Any] = {"x-queue-type": "quorum"}
        arguments: dict[str, Any] = {
            "x-max-length": self.queue_max,
            "x-overflow": "reject-publish",
            # It also keeps the order: without a limit, a returned message goes to the end.
            "x-delivery-limit": RETURNS_MAX,
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead_letters,
            "x-dead-letter-strategy": "at-least-once",
        }
        await self.connection.declare(dead_letters, quorum | {"x-max-length": DEAD_LETTERS_MAX})
        for each in (self.inlet(address), name):
            # Of several processes the first one receives; after its end, the next one.
            is_shared = each == self.unordered(address)
            single = {} if is_shared else {"x-single-active-consumer": True}
            await self.connection.declare(each, quorum | arguments | single)
        if is_delayed:
            await self.delays.bind(name)

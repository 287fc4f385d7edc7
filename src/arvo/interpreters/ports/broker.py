"""Broker: the port for a message broker, which delivers encoded messages at least once."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, final, runtime_checkable

from attrs import field, frozen

from arvo.core.events.event import EVENT_BYTES_MAX
from arvo.core.payloads.frozen_json import EMPTY, FrozenDict
from arvo.interpreters.ports.results import Depth

# The largest body, and room for the headers.
MESSAGE_BYTES_MAX: Final = EVENT_BYTES_MAX + 16_384


@final
@frozen
class EncodedMessage:
    """A message as a broker carries it: an event in bytes, and the queue it waits in.

    *queue*: the address of a handler, or one of `(outbound)` and `(replies)`. *body*: the event in
    JSON (CloudEvents 1.0, structured mode). *headers*: what a consumer needs besides the event;
    names are lower case, values printable ASCII, and all of them must arrive as they were sent.

    *key*, *due* and *id* are for `publish` alone. *key*: messages of one key should stay in their
    order, so partition by it; None for any order. *due*: deliver no earlier, a time with an offset;
    None for at once. *id*: the same for a message that is published once more because it is not
    certain that it was stored; a broker may drop the second one, for a minute or so. None for a
    message that must not be dropped. A delivered message may come without them, and comparisons
    ignore them.
    """

    queue: str
    body: bytes
    headers: Mapping[str, str] = field(default=EMPTY, converter=FrozenDict)
    key: str | None = field(default=None, eq=False)
    due: datetime | None = field(default=None, eq=False)
    id: str | None = field(default=None, eq=False)


@final
@frozen
class EncodedDelivery:
    """An encoded message that a broker has delivered, for the *attempt*-th time (from 1).

    *token* is the broker's own reference to it: a delivery tag, an offset, a lease. *returns*: how
    many of the attempts before may have ended without `nack`, because the process died or the
    iteration was closed. The pair needs it to count deaths (see `CountsDeaths`).
    """

    message: EncodedMessage
    attempt: int = 1
    token: Any = None
    returns: int = 0


class Broker(Protocol):
    """Delivers messages: the small port for a broker of your own.

    A broker delivers each published message at least once, and again until `ack`, `nack` or
    `dead_letter` settles it. Duplicates and reordering do no harm, but messages that were published
    first should be delivered first. A delivery belongs to the iteration that received it until it
    is settled or the iteration ends: by closing, or with its process (detected by a lease or a lost
    connection). After that the message is delivered again, and settling the old delivery changes
    nothing.

    Operations, the iteration included, raise `Unavailable` where waiting helps and `Corrupt` where
    it does not, and no exception of a driver; `publish` also raises `TooLarge`. An operation that
    raised may have been carried out all the same.

    `paired` makes a backend of a `MachineMemory` and a broker. A broker that can count its messages
    should be a `ReportsDepth` too. One that cannot may have an attribute `quiet_seconds`: after so
    long without a delivery the pair assumes that the broker is empty (default: 0.1), and an
    attribute `is_opening` that is true until all iterations receive messages, which takes a while
    on some servers: until then the pair assumes nothing. One whose
    server counts all deliveries alike, so that `nack` and `defer` are among the `returns` of a
    delivery, has an attribute `nacks_are_returns` that is true; the pair then stores which of them
    failed.
    """

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Store messages. When this returns, the broker has all of them.

        It need not be atomic: when it raises, some may be stored. It must not wait for free space,
        because the consumers that free it may wait in this call: a full broker raises
        `Unavailable`. For a message above its size limit it raises `TooLarge`. A broker that cannot
        delay a message until it is *due* delivers it early; the worker returns it with `nack`.
        """
        ...

    def deliveries(self, queues: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
        """Deliver the messages of these queues as they arrive, without end: an async generator.

        The caller asks for the next delivery when it has capacity for one. Closing the generator
        returns the deliveries that were not settled.
        """
        ...

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Settle a delivery that was processed: the broker deletes the message."""
        ...

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Settle a delivery to have it redelivered after *delay* seconds, as the next *attempt*."""
        ...

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Settle a delivery that cannot be processed: it is not delivered again.

        The pair has stored a dead letter for operators before this call. Of a message that cannot
        be decoded and is larger than an event, that holds only the first bytes. A broker with a
        dead-letter queue should move the message there, with the reason; any other acks it.
        """
        ...


@runtime_checkable
class DefersDeliveries(Protocol):
    """A broker that keeps the order of a key also where a delivery is returned.

    After `nack` the messages of its key wait behind it. For a delivery that came before its time,
    the pair calls `defer` instead. Without this operation `nack` need not hold back a message: the
    pair keeps a returned delivery that has a key, unsettled, and calls `nack` where it would defer.
    """

    async def defer(self, delivery: EncodedDelivery, delay: float) -> None:
        """Settle a delivery as `nack` does, but let the messages of its key pass meanwhile."""
        ...


@runtime_checkable
class PassesDeliveries(Protocol):
    """A broker that gives all messages of a key to one process for as long as that lives.

    Another process may serve a message that this one does not, for example in a rolling deploy.
    Without this operation the pair calls `nack` for such a delivery.
    """

    async def pass_on(self, delivery: EncodedDelivery, delay: float) -> None:
        """Settle a delivery as `nack` does, to have it redelivered by another process, if there is
        one that consumes its queue.
        """
        ...


@runtime_checkable
class OwnsDeliveries(Protocol):
    """A broker that knows when it may have given a delivery of this process to another one.

    The pair asks it before each call of a turn, so that a worker that was frozen, or lost its
    connection, makes no call that the next worker makes too.
    """

    def owns(self, delivery: EncodedDelivery) -> bool:
        """Return False if another process may have an unsettled delivery by now.

        It answers from the memory of this process, at once.
        """
        ...


@runtime_checkable
class SeesKeys(Protocol):
    """A broker that knows which messages of a key it stores.

    Then a worker may take the turn of an event that a turn of the same workflow has caused without
    publishing it: it asks first whether another event of the workflow waits, which comes before.
    """

    async def has_others(self, delivery: EncodedDelivery) -> bool:
        """Return True unless *delivery* is certainly the only message of its key that is stored.

        It sees every `publish` that has returned before, of any process. Messages that were
        deferred do not count.
        """
        ...


@runtime_checkable
class ReportsDepth(Protocol):
    """A broker that counts its messages, so that the pair can apply backpressure to senders."""

    async def depth(self) -> Depth:
        """Count the messages of all queues, for all processes.

        It must not report zero while a message is stored or delivered. *timers* are messages that
        are not yet *due* and have never been delivered.
        """
        ...

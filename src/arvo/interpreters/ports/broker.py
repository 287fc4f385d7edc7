"""Broker: what carries events from one step to the next, each at least once."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, final, runtime_checkable

import orjson
from attrs import frozen

from arvo.core.events.event import EVENT_BYTES_MAX, Event
from arvo.interpreters.ports.backend import Depth

# The largest event, and room for where it goes.
MESSAGE_BYTES_MAX: Final = EVENT_BYTES_MAX + 16_384


@final
@frozen
class EncodedMessage:
    """An event on its way.

    *address*: the queue that it waits in, a handler's address or one of `(outside)`, `(home)`.
    *key*: carried along untouched. *due*: when it may be handed out at the earliest, with an
    offset; None for at once.
    """

    address: str
    event: Event[Any]
    key: str | None = None
    due: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Say the message as JSON data."""
        return {
            "address": self.address,
            "event": self.event.to_dict(),
            "key": self.key,
            "due": None if self.due is None else self.due.isoformat(),
        }

    def to_json(self) -> str:
        """Say the message as JSON text, for brokers that carry no more than a body."""
        return orjson.dumps(self.to_dict()).decode()

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> "EncodedMessage":
        """Read what `to_dict` said; raises `Violated`, `KeyError` or `ValueError` if it did not."""
        due = content["due"]
        return EncodedMessage(
            address=content["address"],
            event=Event.from_dict(content["event"]),
            key=content["key"],
            due=None if due is None else datetime.fromisoformat(due),
        )

    @staticmethod
    def parse(text: str | bytes) -> "EncodedMessage":
        """Read what `to_json` said; raises `Violated`, `KeyError` or `ValueError` if it did not.

        What is longer than any message is refused before it is parsed.
        """
        if len(text) > MESSAGE_BYTES_MAX:
            raise ValueError(f"a message of more than {MESSAGE_BYTES_MAX} bytes: {len(text)}")
        return EncodedMessage.from_dict(orjson.loads(text))


@final
@frozen
class EncodedDelivery:
    """A message that was handed out, for the *attempt*-th time (1 is the first).

    *token* is the broker's own way to know it when it is settled.
    """

    message: EncodedMessage
    attempt: int = 1
    token: Any = None


class Broker(Protocol):
    """Carries messages: the small port for a broker of your own.

    What `publish` has taken is handed out at least once, and again until it is settled: by `done`,
    `again` or `dead`. More than once is no harm, and neither is another order, though few will be
    glad of it: events that were published first should come first. A message that was handed out
    belongs to who iterates, until it is settled or the iteration has ended (by closing, or because
    the process died: by a lease, or a lost connection); then it is handed out again.

    To settle what is no longer one's own changes nothing. Operations, the iteration included, raise
    `Unavailable` where waiting helps, `Corrupt` where it does not, and nothing else; after one of
    them, the operation may have been carried out or not. `paired` makes a backend of a
    `MachineMemory` and a broker. One that can count should be a `ReportsDepth` as well; one that
    cannot may have `quiet_seconds`: when nothing has come for so long, nothing is there (0.1 is
    assumed).
    """

    async def publish(self, messages: Sequence[EncodedMessage]) -> None:
        """Take messages; when this returns, they are the broker's.

        They need not be taken all or nothing. It must not wait for room, for those who make room
        may be waiting here: a broker that is full raises `Unavailable`. For a message larger than
        it takes it raises `TooLarge`, and may have taken any of the others. A broker that cannot
        keep what is not *due* yet hands it out early: it is turned away, and comes back by `again`.
        """
        ...

    def deliveries(self, addresses: Sequence[str]) -> AsyncIterator[EncodedDelivery]:
        """Hand out the messages of these queues as they come, for ever: an async generator.

        The next is only asked for when somebody has time for it. Closing the generator gives back
        what it handed out and was not settled.
        """
        ...

    async def ack(self, delivery: EncodedDelivery) -> None:
        """Settle: it was carried through, and is forgotten."""
        ...

    async def nack(self, delivery: EncodedDelivery, delay: float) -> None:
        """Settle: hand it out again after *delay* seconds, with one more *attempt*."""
        ...

    async def dead_letter(self, delivery: EncodedDelivery, reason: str) -> None:
        """Settle: nobody could take it, and it is not handed out any more.

        The pair has kept it as a dead letter for operators. A broker that has a queue for the dead
        may put it there, with the reason, for tools of its own; any other does as for `done`.
        """
        ...


@runtime_checkable
class ReportsDepth(Protocol):
    """A broker that knows how much it holds, so that senders wait while that is too much."""

    async def depth(self) -> Depth:
        """Say how much is under way, for everybody: nothing only where that is true.

        *timers* are those that are not *due* yet and were never handed out.
        """
        ...

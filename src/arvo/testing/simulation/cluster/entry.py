"""Entry: a message in the queue of a simulated store."""

from attrs import define, field

from arvo.interpreters.ports.messages import Message, key_of


@define(eq=False)
class Entry:
    """A message in the queue.

    *attempt*: the attempt of its next delivery. *available_at*: the time from which it may be
    delivered; later messages of its key wait behind it, unless it is *deferred*. *holder*: the
    worker that holds it. *delivery_count*: how often it was delivered. *progress*: its last
    checkpoint. *notes*: the faults that hit it.
    """

    number: int
    message: Message
    attempt: int = 1
    available_at: float = 0.0
    holder: str | None = None
    delivery_count: int = 0
    deferred: bool = False
    progress: bytes = b""
    notes: list[str] = field(factory=list)

    @property
    def key(self) -> str | None:
        """The key of the message; entries with the same key are delivered one at a time."""
        return key_of(self.message.to)

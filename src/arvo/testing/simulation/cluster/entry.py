"""Entry: a message in the queue of a simulated store or broker."""

from typing import Any

from attrs import define, field


@define(eq=False)
class Entry:
    """A message in the queue *queue*. Entries with the same *key* are delivered one at a time.

    *attempt*: the attempt of its next delivery. *available_at*: the time from which it may be
    delivered; later messages of its key wait behind it, unless it is *deferred*. *holder*: the
    consumer that holds it. *delivery_count*: how often it was delivered. *deaths*: how many workers
    died with it, or had fetched it and died. *started*: whether the worker has marked it as
    started. *progress*: its last checkpoint. *notes*: the faults that hit it.
    """

    number: int
    message: Any
    queue: str
    key: str | None
    attempt: int = 1
    available_at: float = 0.0
    holder: str | None = None
    delivery_count: int = 0
    deferred: bool = False
    deaths: int = 0
    started: bool = False
    progress: bytes = b""
    notes: list[str] = field(factory=list)

    @property
    def token(self) -> tuple[int, int]:
        """The token of its last delivery."""
        return self.number, self.delivery_count

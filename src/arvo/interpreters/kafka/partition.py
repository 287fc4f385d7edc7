"""Part: a partition while it is ours, and up to where all of it is settled."""

from typing import final

from attrs import define, field


@final
@define(eq=False)
class Part:
    """One partition from when it was assigned to when it was revoked.

    What is *open* came and is not settled; so many of it as *hands* says are being worked on. Kafka
    remembers one number for a partition, so only what lies before the first that is open may be
    committed. Changed by the loop, but for *fetched*, which counts what the thread that polls has
    brought, whether the loop has looked at it or not.

    >>> part = Part("orders", 0)
    >>> part.came(7), part.came(8), part.came(9)
    (None, None, None)
    >>> part.finish(8), part.settled
    (None, 7)
    >>> part.finish(7), part.settled
    (None, 9)
    """

    topic: str
    number: int
    open: dict[int, None] = field(factory=dict, init=False)
    hands: int = field(default=0, init=False)
    fetched: int = field(default=0, init=False)
    _finished: int = field(default=0, init=False)
    # The first offset that is not settled; None before anything came.
    settled: int | None = field(default=None, init=False)
    committed: int | None = field(default=None, init=False)
    # Nothing more of it is handed out.
    is_leaving: bool = field(default=False, init=False)
    # It is another's: to settle something of it changes nothing.
    is_gone: bool = field(default=False, init=False)
    _next: int = field(default=0, init=False)

    def came(self, offset: int) -> None:
        """Take note of what came; offsets grow."""
        self.open[offset] = None
        self._next = offset + 1
        self._settle()

    def finish(self, offset: int) -> None:
        """Take note that something is settled."""
        self.open.pop(offset, None)
        self._finished += 1
        self._settle()

    @property
    def size(self) -> int:
        """How much of it is here and not settled."""
        return self.fetched - self._finished

    def _settle(self) -> None:
        self.settled = next(iter(self.open), self._next)

"""Local: the readers of this process, and what was published for each of them."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, final

from attrs import define, field

from arvo.interpreters.ports.messages import Delivery

# Batches that wait for one reader; the oldest are dropped.
BATCHES_MAX: Final = 64


@final
@define(eq=False)
class LocalReader:
    """What was published for one reader since it has read last."""

    _batches: deque[bytes] = field(factory=lambda: deque(maxlen=BATCHES_MAX), init=False)

    async def take(self) -> Sequence[bytes]:
        """Return the batches that have come, oldest first."""
        batches = tuple(self._batches)
        self._batches.clear()
        return batches

    def put(self, batch: bytes) -> None:
        """Add a batch."""
        self._batches.append(batch)


@final
@define(eq=False)
class LocalReports:
    """A `ReportChannel` within one process."""

    _readers: dict[str, set[LocalReader]] = field(factory=dict, init=False)

    async def publish(self, delivery: Delivery, batch: bytes) -> None:
        """Pass a batch on to the readers of the delivery's subject."""
        self.put(delivery.message.event.subject, batch)

    def put(self, subject: str, batch: bytes) -> None:
        """Pass a batch on to the readers of a subject."""
        for reader in self._readers.get(subject, ()):
            reader.put(batch)

    @asynccontextmanager
    async def read(self, subject: str) -> AsyncIterator[LocalReader]:
        """Return a context with a reader of a subject."""
        reader = LocalReader()
        self._readers.setdefault(subject, set()).add(reader)
        try:
            yield reader
        finally:
            readers = self._readers[subject]
            readers.discard(reader)
            if not readers:
                del self._readers[subject]
